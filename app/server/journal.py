"""The journal: one line of JSON for each event, on standard error.

It says what happened, when and for how long; never who, nor what they gave or were shown.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gradio as gr
import gradio.queueing
from gradio.utils import get_type_hints

from app.settings import current

_writing = threading.Lock()


def note(event: str, **facts: Any) -> None:
    """Write one line; `facts` are numbers or words of our own."""
    if not current().log:
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = json.dumps({"time": now, "event": event, **facts})
    with _writing:
        print(line, file=sys.stderr, flush=True)


def keep(page: gr.Blocks) -> None:
    """Note every event of `page` from now on, when it is over."""
    for function in page.fns.values():
        if function.fn is not None:
            function.fn = _noted(function.fn)
    if current().log:
        gradio.queueing.traceback = _Printer


def name_of(handler: Callable[..., Any]) -> str:
    """How the journal calls a handler: its module and its own name, such as "reverse.show"."""
    handler = inspect.unwrap(handler)
    if isinstance(handler, functools.partial):
        return name_of(handler.func)
    module = getattr(handler, "__module__", "").rpartition(".")[2]
    return f"{module}.{handler.__qualname__.partition('.<locals>')[0]}"


def _noted(handler: Callable[..., Any]) -> Callable[..., Any]:
    event = name_of(handler)

    @functools.wraps(handler)
    def noted(*args: Any, **kwargs: Any) -> Any:
        with _watched(event):
            return handler(*args, **kwargs)

    @functools.wraps(handler)
    def noted_generator(*args: Any, **kwargs: Any) -> Any:
        with _watched(event):
            return (yield from handler(*args, **kwargs))

    found = noted_generator if inspect.isgeneratorfunction(handler) else noted
    # Gradio asks for both at each event, and would work them out each time.
    found.__annotations__, found.__signature__ = get_type_hints(found), inspect.signature(found)
    return found


@contextmanager
def _watched(event: str) -> Iterator[None]:
    began, outcome = time.perf_counter(), {"outcome": "done"}
    try:
        yield
    except gr.Error:  # one sentence to the page
        outcome = {"outcome": "refused"}
        raise
    except GeneratorExit:
        outcome = {"outcome": "left"}
        raise
    except BaseException as error:
        outcome = {"outcome": "failed", "error": type(error).__name__, "at": place_of(error)}
        raise
    finally:
        note(event, ms=round(1000 * (time.perf_counter() - began), 1), **outcome)


def place_of(error: BaseException) -> str:
    """Where it was raised, from outside in: files and lines, no values."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
    return " > ".join([*places, *getattr(error, "__notes__", [])])  # of another process


class _Printer:
    """Stands for Python's `traceback` where Gradio prints errors, which quote what was sent."""

    @staticmethod
    def print_exc() -> None:
        error = sys.exc_info()[1]
        note("gradio", outcome="failed", error=type(error).__name__, at=place_of(error))
