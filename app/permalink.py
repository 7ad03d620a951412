"""The settings of a tab as an address, and back: only what differs from the defaults, in words.

Pure functions. What the settings are stands in the tabs; `app.links` connects them to the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from app.forms import check_choice, check_choices, check_number

Values = Mapping[str, Any]
TAB = "tab"
LONGEST = 2000  # characters of an address, and of a value in it
MOST = 200  # parts of an address
YES, NO = "yes", "no"
NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{0,20})?([eE][+-]?\d{1,3})?", re.ASCII)


class CannotTravelError(ValueError):
    """Something that no address can hold; says what."""


@dataclass(frozen=True)
class Setting:
    """One setting of a tab, by the name that it has in an address.

    `default`: its value, or a function of the values of the settings before it. `read` makes the
    value from a text and those values; ValueError says what would be right. `write` is its
    inverse; CannotTravelError says what is left out.
    """

    name: str
    default: Any
    read: Callable[[str, Values], Any]
    write: Callable[[Any], str] = str

    def default_with(self, values: Values) -> Any:
        return self.default(values) if callable(self.default) else self.default


def query_of(tab: str, settings: Sequence[Setting], values: Values) -> tuple[str, list[str]]:
    """The address's part after the "?", and what it had to leave out."""
    parts, left_out, kept = {TAB: tab}, [], {}
    for setting in settings:
        value = values[setting.name]
        kept[setting.name] = setting.default_with(kept)
        if value == kept[setting.name]:
            continue
        try:
            text = setting.write(value)
            kept[setting.name] = setting.read(text, kept)
        except CannotTravelError as error:
            left_out.append(str(error))
        except ValueError:  # the control holds what it may not
            left_out.append(f"“{setting.name}”, which is not valid")
        else:
            parts[setting.name] = text
    return urlencode(parts, safe=",:/"), left_out


def parts_of(query: str) -> dict[str, str]:
    """The parts of an address by name; where a name comes twice, the first. Never raises."""
    try:
        text = query[:LONGEST].removeprefix("?")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def values_of(
    settings: Sequence[Setting], parts: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """The value of every setting, and a sentence for each that the address has wrong."""
    values: dict[str, Any] = {}
    wrong = []
    for setting in settings:
        values[setting.name] = setting.default_with(values)
        text = parts.get(setting.name)
        if text is None:
            continue
        try:
            values[setting.name] = setting.read(text, values)
        except ValueError as error:
            # What the address says is not repeated: a page shows what its own people wrote.
            wrong.append(f"In the address, {str(error).partition(', got ')[0].rstrip('.')}.")
    return values, wrong


def number_in(text: str, name: str) -> int | float:
    """A number as a person writes it; whole ones are int."""
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{name} must be a number")
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def shown_number(value: Any) -> str:
    """The shortest text that reads back as the same number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("not a number")
    return str(int(value)) if float(value).is_integer() else repr(value)


# -- kinds of settings -------------------------------------------------------------------------


def choice(name: str, default: Any, choices: Sequence | Callable[[Values], Sequence]) -> Setting:
    """One of several values, each written as it is; `choices` may depend on settings before."""

    def read(text: str, values: Values) -> Any:
        allowed = choices(values) if callable(choices) else choices
        named = {str(value): value for value in allowed}
        return named[check_choice(text, f"“{name}”", named)]

    return Setting(name, default, read)


def several(name: str, default: Any, choices: Sequence | Callable[[Values], Sequence]) -> Setting:
    """Any of several values, with commas between them; in their own order."""

    def read(text: str, values: Values) -> list:
        allowed = choices(values) if callable(choices) else choices
        named = {str(value): value for value in allowed}
        chosen = [part for part in text.split(",") if part]
        check_choices(chosen, f"“{name}”", named)
        return [named[part] for part in dict.fromkeys(chosen)]

    def write(value: Any) -> str:
        return ",".join(map(str, value))

    return Setting(name, default, read, write)


def number(name: str, default: Any, check: Callable[[Any], Any]) -> Setting:
    """A number; `check` raises ValueError for one that is out of range."""

    def read(text: str, _: Values) -> int | float:
        value = number_in(text, f"“{name}”")
        check(value)
        return value

    return Setting(name, default, read, shown_number)


def within(name: str, low: float, high: float) -> Callable[[Any], Any]:
    """A `check` of a number from `low` to `high`."""
    return lambda value: check_number(value, f"“{name}”", low, high)


def switch(name: str, default: bool) -> Setting:
    """Yes or no."""

    def read(text: str, _: Values) -> bool:
        return check_choice(text, f"“{name}”", (YES, NO)) == YES

    return Setting(name, default, read, lambda value: YES if value else NO)


def words(name: str, default: str, longest: int = 200) -> Setting:
    """A line of text."""

    def read(text: str, _: Values) -> str:
        if len(text) > longest or not text.isprintable():
            raise ValueError(f"“{name}” must be a line of at most {longest} characters")
        return text

    return Setting(name, default, read)
