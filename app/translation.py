"""The page in another language: the English sentence is the key, as in gettext.

    python -m app.translation > app/texts/LANGUAGE/words.json

writes the template: every word of the controls and of the views, to be filled in; what stays empty
stays English. The longer texts stand beside it, one Markdown file each, under the names that they
have in app/texts/en. `UNNOISE_LANGUAGE=LANGUAGE` then shows the page in that language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import gradio as gr

from app.components.base import HERE as COMPONENTS
from app.components.base import View
from app.prose import TEXTS
from app.settings import current

WORDS = "words.json"
SHOWN = ("label", "info", "placeholder")  # of a control
IN_MARKUP = re.compile(
    r"(?<=>)[^<>]*[A-Za-z]{2}[^<>]*(?=<)|(?<=title=\")[^\"]+|(?<=label=\")[^\"]+"
)
IN_SCRIPTS = re.compile(r"\bsay\('([^']+)'\)")


@cache
def words() -> dict[str, str]:
    """English → the language of this server; empty for English."""
    path = TEXTS / current().language / WORDS
    if not path.is_file():
        return {}
    return {key: value for key, value in json.loads(path.read_text("utf-8")).items() if value}


def translate(page: gr.Blocks, say: Callable[[str], str] | None = None) -> None:
    """Put the page's labels, hints, titles and the words of its views into the language."""
    say = say or (lambda text: words().get(text, text))
    for block in page.blocks.values():
        for name in SHOWN:
            text = getattr(block, name, None) if not isinstance(block, View) else None
            if isinstance(text, str) and text:
                setattr(block, name, say(text))
        if isinstance(block, gr.Button) and isinstance(block.value, str):
            block.value = say(block.value)
        if isinstance(block, (gr.Radio, gr.Dropdown, gr.CheckboxGroup)):
            block.choices = [
                (say(title) if isinstance(title, str) else title, value)
                for title, value in block.choices
            ]
        if isinstance(block, View):
            block.html_template = IN_MARKUP.sub(
                lambda found: said(found[0], say), block.html_template
            )


def said(text: str, say: Callable[[str], str]) -> str:
    """A text of a view's markup, with the space around it as it is."""
    core = text.strip()
    return text.replace(core, say(core)) if core else text


def script() -> str:
    """What the views' scripts look their own words up in."""
    catalogue = json.dumps(words(), ensure_ascii=True).replace("<", "\\u003c")
    return f"window.unnoiseWords = {catalogue};"


def keys(page: gr.Blocks) -> list[str]:
    """Every English word of the controls and the views, in the order of the page."""
    found: dict[str, None] = {}

    def note(text: str) -> str:
        found.setdefault(text)
        return text

    translate(page, note)
    for path in sorted(Path(COMPONENTS).glob("*.js")):
        for text in IN_SCRIPTS.findall(path.read_text("utf-8")):
            note(text)
    return list(found)


def main() -> None:
    from app.ui import build  # here: it builds a page, which needs this module

    print(json.dumps(dict.fromkeys(keys(build()), ""), ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()
