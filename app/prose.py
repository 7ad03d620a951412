"""The explanations: Markdown files in app/texts/LANGUAGE, one a panel, with LaTeX formulas."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import gradio as gr

from app.settings import current
from app.theme import SYMBOLS

TEXTS = Path(__file__).parent / "texts"
ENGLISH = "en"
DELIMITERS = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]


@cache
def text(name: str) -> str:
    """The text `name`.md, in English where the language of this server has none.

    \\signal{…} and the other names of `SYMBOLS` become their colours.
    """
    paths = [TEXTS / language / f"{name}.md" for language in (current().language, ENGLISH)]
    source = next(path for path in paths if path.is_file()).read_text(encoding="utf-8")
    names = "|".join(SYMBOLS)
    return re.sub(
        rf"\\({names})\{{",
        lambda match: rf"\textcolor{{{SYMBOLS[match[1]].light}}}{{",
        source,
    )


def prose(name: str, **kwargs) -> gr.Markdown:
    """A text as a component of the page."""
    return gr.Markdown(text(name), latex_delimiters=DELIMITERS, **kwargs)
