"""The explanations: Markdown files in app/texts, one a panel, with LaTeX formulas."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import gradio as gr

from app.theme import SYMBOLS

TEXTS = Path(__file__).parent / "texts"
DELIMITERS = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]


@cache
def text(name: str) -> str:
    """The text `name`.md; \\signal{…} and the other names of `SYMBOLS` become their colours."""
    source = (TEXTS / f"{name}.md").read_text(encoding="utf-8")
    names = "|".join(SYMBOLS)
    return re.sub(
        rf"\\({names})\{{",
        lambda match: rf"\textcolor{{{SYMBOLS[match[1]].light}}}{{",
        source,
    )


def prose(name: str, **kwargs) -> gr.Markdown:
    """A text as a component of the page."""
    return gr.Markdown(text(name), latex_delimiters=DELIMITERS, **kwargs)
