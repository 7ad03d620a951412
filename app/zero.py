"""ZeroGPU, a kind of Hugging Face Space: a GPU is lent for as long as an event takes.

The page's own process has none. An event that asks a network does it in another process, forked
from this one: what it is given and what it yields travel as pickles, and what it remembers of them
is its own. Anywhere else nothing of this happens.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.settings import current

if current().zero_gpu:
    # It is there on such a Space, and must come before anything asks PyTorch for CUDA.
    import spaces

QUEUES = ("network", "run export")  # of the events that ask a network
# At most, of a GPU that is lent: two runs of 1000 steps, or a look at one network.
WALK_SECONDS, LOOK_SECONDS = 60, 30

_handlers: list[Callable[..., Any]] = []  # a forked process finds them at the same places

Lender = Callable[..., Callable[..., Iterator[Any]]]  # like `spaces.GPU`


def on_gpu(page: gr.Blocks, lender: Lender | None = None) -> None:
    """Let the events of `page` that ask a network do so where a GPU is lent, by `lender`.

    Without one, by ZeroGPU's own; where that is not in charge, nothing changes.
    """
    if lender is None:
        if not current().zero_gpu:
            return
        lender = spaces.GPU
    # One task for all: they then share a process, and with it the runs that it has kept.
    lent = lender(_handled, duration=_seconds)
    for function in page.fns.values():
        if function.concurrency_id in QUEUES:
            function.fn = _sent(function.fn, lent)


def _sent(handler: Callable[..., Any], lent: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
    place = len(_handlers)
    _handlers.append(handler)

    @functools.wraps(handler)
    def sent(*args: Any, **kwargs: Any) -> Any:
        (value,) = lent(place, _packed(args), kwargs)
        return value

    @functools.wraps(handler)
    def sent_generator(*args: Any, **kwargs: Any) -> Any:
        yield from lent(place, _packed(args), kwargs)

    return sent_generator if inspect.isgeneratorfunction(handler) else sent


def _handled(place: int, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Any]:
    """In the other process: what the handler yields, or the one thing that it returns."""
    handler = _handlers[place]
    args = [gr.EventData(None, arg.data) if isinstance(arg, _Event) else arg for arg in args]
    if inspect.isgeneratorfunction(handler):
        yield from handler(*args, **kwargs)
    else:
        yield handler(*args, **kwargs)


def _seconds(place: int, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    return WALK_SECONDS if inspect.isgeneratorfunction(_handlers[place]) else LOOK_SECONDS


@dataclass(frozen=True)
class _Event:
    """What an event sent along; Gradio's own record of it holds the page and cannot travel."""

    data: Any


def _packed(args: Sequence[Any]) -> list[Any]:
    return [_Event(arg._data) if isinstance(arg, gr.EventData) else arg for arg in args]
