"""What a request's body must look like before Gradio is shown it; each error is one sentence."""

from __future__ import annotations

import inspect
import json
import math
import re
from typing import Any

from gradio.block_function import BlockFunction
from gradio.blocks import Blocks

SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
DEEPEST = 32  # lists in lists, and so on; a page sends no more than five
ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; ValueError if there is none, or none that is bearable."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("The body must be a JSON object.") from None
    if not isinstance(value, dict):
        raise ValueError("The body must be a JSON object.")
    _check_parts(value)
    return value


def _check_parts(value: Any) -> None:
    """Not too deep, numbers and text that can be written down, no address that we should fetch."""
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                _check_no_address(part)
                below += part.keys()
                below += part.values()
            elif isinstance(part, list):
                below += part
            elif isinstance(part, str) and not part.isascii():
                _check_text(part)
            elif isinstance(part, float) and not math.isfinite(part):
                raise ValueError("The body's numbers must be finite: JSON has no NaN or Infinity.")
        if not below:
            return
        level = below
    raise ValueError(f"The body must not be nested more than {DEEPEST} deep.")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("The body's text must be valid Unicode.") from None


def _check_no_address(part: dict[str, Any]) -> None:
    """Gradio would download a file that is named by its address."""
    if isinstance(part.get("path"), str) and ADDRESS.match(part["path"]):
        raise ValueError("Upload the file itself: no address is fetched here.")


def joined(value: dict[str, Any], page: Blocks) -> BlockFunction:
    """The function that a request of the page asks for; ValueError if it asks for none."""
    check_event(value, "session_hash")
    function = _with_data(_numbered(value, page), value)
    wanted, got = len(function.inputs), len(value.get("data", []))
    if wanted != got and not function.cancels:
        raise ValueError(f"data must hold this function's {wanted} inputs, got {got}.")
    return function


def called(
    name: str, value: dict[str, Any], page: Blocks, *, by_name: bool = False
) -> BlockFunction:
    """The function of the API by its name; `by_name`, the body is its parameters by theirs.

    Raises KeyError if there is no such function, else as `joined`.
    """
    public = {f.api_name: f for f in page.fns.values() if f.api_visibility == "public"}
    function = public[name]
    if by_name:
        known = inspect.signature(function.fn).parameters
        if unknown := sorted(value.keys() - known):
            raise ValueError(
                f"/{name} has no parameter {unknown[0]!r:.40}: it takes {', '.join(known)}."
            )
        return function
    if value.get("session_hash") is not None:
        check_event(value, "session_hash")
    return _with_data(function, value)


def _numbered(value: dict[str, Any], page: Blocks) -> BlockFunction:
    index = value.get("fn_index")
    if isinstance(index, bool) or not isinstance(index, int) or index not in page.fns:
        raise ValueError("fn_index must be the number of one of the page's functions.")
    return page.fns[index]


def _with_data(function: BlockFunction, value: dict[str, Any]) -> BlockFunction:
    if not isinstance(value.get("data", []), list):
        raise ValueError("data must be the list of the function's inputs.")
    return function


def check_event(value: dict[str, Any], *names: str) -> None:
    """Check the names of a session or an event; ValueError if one cannot be such a name."""
    for name in names or ("event_id",):
        text = value.get(name)
        if not isinstance(text, str) or not SESSION.fullmatch(text):
            raise ValueError(f"{name} must be 1 to 64 letters, digits, - or _.")


def cancelled(value: dict[str, Any], page: Blocks) -> None:
    """Check what is to be cancelled; ValueError if that cannot be."""
    check_event(value, "session_hash", "event_id")
    _numbered(value, page)
