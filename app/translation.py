"""The page in another language: the English sentence is the key, as in gettext.

    python -m app.translation > app/texts/LANGUAGE/words.json

writes the template: every word of the controls and of the views, and every sentence that Python
says, to be filled in; what stays empty stays English. The longer texts stand beside it, one
Markdown file each, under the names that they have in app/texts/en. `UNNOISE_LANGUAGE=LANGUAGE`
then shows the page in that language.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from app.components.base import HERE as COMPONENTS
from app.components.base import View
from app.language import said, shown, words
from app.sentences import sentences

Say = Callable[[str], str]
SHOWN = ("label", "info", "placeholder")  # of a control
IN_MARKUP = re.compile(
    r"(?<=>)[^<>]*[A-Za-z]{2}[^<>]*(?=<)|(?<=title=\")[^\"]+|(?<=label=\")[^\"]+"
)
IN_SCRIPTS = re.compile(r"\bsay\('([^']+)'[,)]")


def translate(page: gr.Blocks) -> None:
    """Put the page into the language of this server, and what its events will say."""
    if not words():
        return
    put(page, said)
    for function in page.fns.values():
        if function.fn is not None:
            function.fn = _spoken(function.fn, function.outputs)


def put(page: gr.Blocks, say: Say) -> None:
    """Let `say` have the page's labels, hints, titles and the words of its views."""
    for block in page.blocks.values():
        for name in SHOWN:
            text = getattr(block, name, None) if not isinstance(block, View) else None
            if isinstance(text, str) and text:
                setattr(block, name, say(text))
        if isinstance(block, gr.Button) and isinstance(block.value, str):
            block.value = say(block.value)
        if isinstance(block, (gr.Radio, gr.Dropdown, gr.CheckboxGroup)):
            block.choices = _choices(block.choices, say)
        if isinstance(block, View):
            block.html_template = IN_MARKUP.sub(
                lambda found: _inside(found[0], say), block.html_template
            )


def _choices(choices: Sequence[Any], say: Say) -> list[tuple[Any, Any]]:
    """Other titles, the same values."""
    pairs = [each if isinstance(each, (list, tuple)) else (each, each) for each in choices]
    return [(say(title) if isinstance(title, str) else title, value) for title, value in pairs]


def _inside(text: str, say: Say) -> str:
    """A text of a view's markup, with the space around it as it is."""
    core = text.strip()
    return text.replace(core, say(core)) if core else text


# -- what events say -------------------------------------------------------------------------------


def _spoken(handler: Callable[..., Any], outputs: Sequence[Block]) -> Callable[..., Any]:
    """The same handler, whose texts and errors are in the language of this server."""

    def told(values: Any) -> Any:
        if len(outputs) == 1:
            return _told(outputs[0], values)
        if not isinstance(values, (list, tuple)) or len(values) != len(outputs):
            return values
        return [_told(block, value) for block, value in zip(outputs, values, strict=True)]

    @functools.wraps(handler)
    def spoken(*args: Any, **kwargs: Any) -> Any:
        with _errors_too():
            return told(handler(*args, **kwargs))

    @functools.wraps(handler)
    def spoken_generator(*args: Any, **kwargs: Any) -> Any:
        with _errors_too():
            for values in handler(*args, **kwargs):
                yield told(values)

    return spoken_generator if inspect.isgeneratorfunction(handler) else spoken


@contextmanager
def _errors_too() -> Iterator[None]:
    try:
        yield
    except gr.Error as error:
        error.message = said(error.message)
        raise


def _told(block: Block, value: Any) -> Any:
    """What is said to one component."""
    if isinstance(value, dict) and value.get("__type__") == "update":
        changes = dict(value)
        for name in SHOWN:
            if isinstance(changes.get(name), str):
                changes[name] = said(changes[name])
        if "choices" in changes:
            changes["choices"] = _choices(changes["choices"], said)
        if "value" in changes:
            changes["value"] = _told(block, changes["value"])
        return changes
    if isinstance(block, View):
        return shown(value)
    if isinstance(block, (gr.Markdown, gr.Button)) and isinstance(value, str):
        return said(value)
    return value


# -- the template ----------------------------------------------------------------------------------


def script() -> str:
    """What the views' scripts look their own words up in."""
    catalogue = json.dumps(words(), ensure_ascii=True).replace("<", "\\u003c")
    return f"window.unnoiseWords = {catalogue};"


def keys(page: gr.Blocks) -> list[str]:
    """Everything that the page can say in English: its own words first, in their order."""
    found: dict[str, None] = {}

    def note(text: str) -> str:
        found.setdefault(text)
        return text

    put(page, note)
    for path in sorted(Path(COMPONENTS).glob("*.js")):
        for text in IN_SCRIPTS.findall(path.read_text("utf-8")):
            note(text)
    for text in sentences():
        note(text)
    return list(found)


def main() -> None:
    from app.ui import build  # here: it builds a page, which needs this module

    print(json.dumps(dict.fromkeys(keys(build()), ""), ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()
