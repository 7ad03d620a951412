"""What several people ask for is computed once: one computes, the others look on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from app.cache import LRU

S = TypeVar("S")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
LOOK_SECONDS = 0.05  # how often one who looks on asks for news


def outcome(steps: Generator[Any, None, V]) -> V:
    """What a generator returns, without looking on."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@dataclass(eq=False)
class _Work(Generic[S, V]):
    """A computation under way, and how many wait for it."""

    computing: threading.Lock = field(default_factory=threading.Lock)
    step: S | None = None  # the latest
    result: V | None = None
    people: int = 0


class Once(Generic[K, S, V]):
    """A cache of what generators of steps return."""

    def __init__(self, cache: LRU[K, V], nbytes: Callable[[V], int]) -> None:
        self.cache, self.nbytes = cache, nbytes
        self._under_way: dict[K, _Work[S, V]] = {}
        self._lock = threading.Lock()

    def __call__(self, key: K, begin: Callable[[], Generator[S, None, V]]) -> Generator[S, None, V]:
        """Walk `begin()` to its end and return what it returns; at once if that is known.

        Where somebody else walks it at this moment, yields the steps that they come to. If they
        leave before the end, one who looks on begins anew.
        """
        known = self.cache.get(key)
        if known is not None:
            return known
        with self._lock:
            work = self._under_way.setdefault(key, _Work())
            work.people += 1
        try:
            while not work.computing.acquire(timeout=LOOK_SECONDS):
                if (step := work.step) is not None:
                    yield step
            try:
                if work.result is None:
                    work.result = yield from self._told(begin(), work)
                    self.cache.put(key, work.result, self.nbytes(work.result))
                return work.result
            finally:
                work.computing.release()
        finally:
            with self._lock:
                work.people -= 1
                if not work.people:
                    del self._under_way[key]

    @staticmethod
    def _told(steps: Generator[S, None, V], work: _Work[S, V]) -> Generator[S, None, V]:
        try:
            while True:
                try:
                    work.step = next(steps)
                except StopIteration as end:
                    return end.value
                yield work.step
        finally:
            work.step = None
            steps.close()
