"""The language of this server: English → the other one, as in gettext.

A key may have places, "{0} must be one of {1}, got {2}.": it then stands for every sentence that
fills them, and what fills them is looked up too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from app.prose import TEXTS
from app.settings import current

WORDS = "words.json"
PLACE = re.compile(r"\{(\d+)\}")
BETWEEN = " · "  # parts of a line that are said one by one
# Where what a view draws has words; all else means something to its script.
TEXT_KEYS = {
    "title", "note", "caption", "hint", "text", "name", "names", "end", "columns", "formula",
    "warning",
}  # fmt: skip


@cache
def words() -> dict[str, str]:
    """English → the language of this server; empty for English."""
    path = TEXTS / current().language / WORDS
    if not path.is_file():
        return {}
    return {key: value for key, value in json.loads(path.read_text("utf-8")).items() if value}


@lru_cache(4096)
def said(text: str) -> str:
    """`text` in the language of this server; as it is where that has no words for it."""
    if not words():
        return text
    capital = text[:1].upper() + text[1:]
    for known in dict.fromkeys((text, capital)):
        if (found := _found(known)) is not None:
            return found
        if (found := _found(f"{known}.")) is not None:  # a sentence that goes on
            return found.removesuffix(".")
    parts = text.split(BETWEEN)
    return BETWEEN.join(map(said, parts)) if len(parts) > 1 else text


def shown(value: Any, key: str = "") -> Any:
    """What a view draws, with its texts in the language of this server."""
    if isinstance(value, str):
        return said(value) if key in TEXT_KEYS else value
    if isinstance(value, Mapping):
        return {name: shown(each, name) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(each, key) for each in value]
    return value


def _found(text: str) -> str | None:
    if text in words():
        return words()[text]
    for pattern, other in _patterns():
        if match := pattern.fullmatch(text):
            return PLACE.sub(lambda place, match=match: said(match[f"_{place[1]}"]), other)
    return None


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Of the keys with places; those that say most come first."""
    keys = [key for key in words() if PLACE.search(key) and PLACE.sub("", key).strip()]
    keys.sort(key=lambda key: -len(PLACE.sub("", key)))
    return [(_pattern(key), words()[key]) for key in keys]


def _pattern(key: str) -> re.Pattern[str]:
    whole = key.endswith(".") or BETWEEN in key  # else it may be a part of a line
    filled = ".*?" if whole else f"(?:(?!{BETWEEN}).)*?"
    parts = PLACE.split(key)  # by turns: what stands there, and the number of a place
    met: set[str] = set()
    for i, part in enumerate(parts):
        if i % 2 == 0:
            parts[i] = re.escape(part)
        else:
            parts[i] = f"(?P=_{part})" if part in met else f"(?P<_{part}>{filled})"
            met.add(part)
    return re.compile("".join(parts), re.DOTALL)
