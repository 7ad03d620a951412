"""Tells the page what the network is doing while it does it, and no more often than one can see."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import Any, Generic, TypeVar

from app.run_scene import progress_payload
from app.runs import Run, RunSettings, record, timesteps_of
from model.sampler import Step

TELL_SECONDS = 0.08  # pictures that follow faster make a browser drop them while they load
R = TypeVar("R")

_under_way: set[object] = set()  # walks that are told of


def narrated(
    steps: Generator[Step, None, R], title: str, count: int
) -> Generator[dict[str, Any], None, R]:
    """Walk all `steps`, `count` of them, yielding values for a `Progress`; returns their result.

    A tab that is closed ends the generator where it yields, and with it the walk. Several walks at
    once tell as much together as one alone: each value costs the page as much as a click.
    """
    started, told, walk = time.monotonic(), 0.0, object()
    _under_way.add(walk)
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            now = time.monotonic()
            if now - told >= TELL_SECONDS * len(_under_way):
                told = now
                left = (now - started) / (step.index + 1) * (count - step.index - 1)
                yield progress_payload(title, step, count, left)
    finally:
        _under_way.discard(walk)


def recorded(settings: RunSettings, title: str) -> Generator[dict[str, Any], None, Run]:
    """`record`, narrated."""
    return (yield from narrated(record(settings), title, len(timesteps_of(settings)) - 1))


class Told(Generic[R]):
    """Iterates over a generator, and keeps what it returns as `result`."""

    result: R

    def __init__(self, generator: Generator[Any, None, R]) -> None:
        self._generator = generator

    def __iter__(self) -> Iterator[Any]:
        self.result = yield from self._generator
