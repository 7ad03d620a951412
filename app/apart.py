"""Events that compute for long do so in another process than the page's.

Python runs one thread at a time: a network that is asked, or trained, in the page's own process
holds up every click. What an event is given and what it yields travel as pickles, and what is
remembered of them stays in the other process. Whoever runs that process is a `Lender`: this
computer (`app.workers`), or a GPU of a Space that is lent (`app.zero`). Without one, all is done
where the page is.
"""

from __future__ import annotations

import functools
import inspect
import pickle
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.cache import LRU
from app.events import EXPORT, EXPORT_JOB, EXPORT_RUN, JOB, NETWORK
from app.forms import says_what_is_wrong
from app.server.journal import name_of
from app.settings import current
from app.wish import Wish

# What the other processes are for; files are drawn where no GPU is needed.
NETWORKS, DRAWINGS, TRAININGS = "networks", "drawings", "trainings"
PLACES = {  # of events, by their `concurrency_id`
    kind["concurrency_id"]: place
    for place, kinds in {
        NETWORKS: (NETWORK, EXPORT_RUN),
        DRAWINGS: (EXPORT,),
        TRAININGS: (JOB, EXPORT_JOB),
    }.items()
    for kind in kinds
}

Handler = Callable[..., Any]  # a module's function, or a `functools.partial` of one
Lender = Callable[[Handler, Sequence[Any], Mapping[str, Any]], Iterator[Any]]


# What events have shown, by their handler and `keeps`: kept where the page is, since the others
# may be long in answering.
SHOWN: LRU[tuple, tuple] = LRU(current().run_cache << 19)


def part(page: gr.Blocks, lenders: Mapping[str, Lender]) -> None:
    """Let the events of `page` do their work where `lenders` say; those of other places stay."""
    for function in page.fns.values():
        handler, place = function.fn, PLACES.get(function.concurrency_id)
        if place in lenders:
            function.fn = _sent(handler, lenders[place])
        if hasattr(handler, "key"):
            function.fn = keeping(function.fn)


def keeps(key: Callable[..., Hashable]) -> Callable[[Handler], Handler]:
    """Let what a generator yields at its end be kept, by what `key` makes of its arguments."""

    def marked(handler: Handler) -> Handler:
        handler.key = key
        return handler

    return marked


def kept(handler: Handler, *args: Any) -> tuple | None:
    """What `handler` has shown for such arguments; None if that is not known. Raises as its key."""
    return SHOWN.get((name_of(handler), handler.key(*args)))


def keeping(handler: Handler) -> Handler:
    """The same handler, which fills `SHOWN`."""

    @functools.wraps(handler)
    def keeping(*args: Any) -> Iterator[Any]:
        value = None
        for value in handler(*args):
            yield value
        if value and gr.skip() not in value:  # all of it: else something was there already
            SHOWN.put((name_of(handler), handler.key(*args)), value, len(pickle.dumps(value)))

    return keeping


def done(lender: Lender | None, handler: Handler, *args: Any) -> Any:
    """What a handler that is no generator returns, there; without a lender, here."""
    if lender is None:
        return handler(*args)
    (value,) = lender(handler, args, {})
    return value


def handled(handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Any]:
    """In the other process: what the handler yields, or the one thing that it returns."""
    args = [gr.EventData(None, arg.data) if isinstance(arg, _Event) else arg for arg in args]
    if inspect.isgeneratorfunction(handler):
        yield from handler(*args, **kwargs)
    else:
        yield handler(*args, **kwargs)


def _sent(handler: Handler, lender: Lender) -> Handler:
    @functools.wraps(handler)
    def sent(*args: Any, **kwargs: Any) -> Any:
        (value,) = lender(handler, _packed(args), kwargs)
        return value

    @functools.wraps(handler)
    def sent_generator(*args: Any, **kwargs: Any) -> Any:
        wishes = [arg for arg in args if isinstance(arg, Wish)]
        before = [wish.runs for wish in wishes]
        for value in lender(handler, _packed(args), kwargs):
            if [wish.runs for wish in wishes] != before:
                return  # there they see a copy of the wish, which does not change
            yield value

    return says_what_is_wrong(sent_generator if inspect.isgeneratorfunction(handler) else sent)


@dataclass(frozen=True)
class _Event:
    """What an event sent along; Gradio's own record of it holds the page and cannot travel."""

    data: Any


def _packed(args: Sequence[Any]) -> list[Any]:
    return [_Event(arg._data) if isinstance(arg, gr.EventData) else arg for arg in args]
