"""What every handler does with a value from outside: check it, and say what would be right."""

from __future__ import annotations

import functools
import inspect
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

LARGEST_SEED = 2**32 - 1


def check_number(value: Any, name: str, low: float, high: float) -> float:
    """`value` as a finite float within [low, high]; ValueError with one sentence otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, got {_shown(value)}.")
    if not low <= value <= high:  # NaN fails every comparison
        raise ValueError(f"{name} must be from {low:g} to {high:g}, got {_shown(value)}.")
    return float(value)


def check_integer(value: Any, name: str, low: int, high: int) -> int:
    """`value` as an int within [low, high], also from 10.0; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise ValueError(
            f"{name} must be a whole number from {low:,} to {high:,}, got {_shown(value)}."
        )
    if not low <= value <= high or value != int(value):
        raise ValueError(
            f"{name} must be a whole number from {low:,} to {high:,}, got {_shown(value)}."
        )
    return int(value)


def check_choice(value: Any, name: str, choices: Any) -> Any:
    """`value` if it is one of `choices`; ValueError with the choices otherwise."""
    if isinstance(value, (list, dict)) or value not in choices:
        listed = ", ".join(str(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}, got {_shown(value)}.")
    return value


def check_choices(values: Any, name: str, choices: Any) -> list:
    """`values` as a list without repetition of some of `choices`, in the order of `choices`."""
    if not isinstance(values, list):
        raise ValueError(f"{name} must be a list of choices, got {_shown(values)}.")
    for value in values:
        check_choice(value, name, choices)
    return [choice for choice in choices if choice in values]


def check_seed(value: Any) -> int:
    """`value` as a seed; ValueError otherwise."""
    return check_integer(value, "The seed", 0, LARGEST_SEED)


def new_seed() -> int:
    """A seed that nobody chose."""
    return secrets.randbelow(LARGEST_SEED + 1)


def sent(event: gr.EventData, name: str) -> Any:
    """What a view sent with its event under `name`, unchecked; None if it sent no such thing."""
    return event._data.get(name) if isinstance(event._data, dict) else None


def says_what_is_wrong(handler: Callable) -> Callable:
    """Show a handler's ValueError as one sentence in the page; the outputs stay as they were.

    The handler may be a generator.
    """

    @functools.wraps(handler)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with _told_to_the_page():
            return handler(*args, **kwargs)

    @functools.wraps(handler)
    def guarded_generator(*args: Any, **kwargs: Any) -> Any:
        with _told_to_the_page():
            yield from handler(*args, **kwargs)

    return guarded_generator if inspect.isgeneratorfunction(handler) else guarded


@contextmanager
def _told_to_the_page() -> Iterator[None]:
    try:
        yield
    except gr.Error:  # a sentence already, of another process; it is a ValueError too
        raise
    except ValueError as error:
        sentence = f"{str(error).removesuffix('.')}."
        raise gr.Error(sentence, print_exception=False) from None


def _shown(value: Any) -> str:
    """A short repr: the value goes back to the one who sent it, but not at any length."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    text = f"{value:,}" if whole else repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
