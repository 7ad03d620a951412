"""Gradio's own inputs, handing over what arrived as it arrived: our handlers check and explain.

Gradio checks too, but against what a list or a slider is now; an event that waited was sent when it
may have been otherwise, and would be refused for that.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component


class PictureUpload(gr.Image):
    """An upload, a paste or a webcam picture as the path of an unread file.

    gr.Image would open it first, with errors of its own; `app.uploads` is the gate for that.
    """

    is_template = True  # Gradio's own front end for its parent

    def preprocess(self, payload: Any) -> str | None:
        return payload.path if payload is not None else None


def _as_it_arrived(self: Component, payload: Any) -> Any:
    return payload


class NumberField(gr.Number):
    """A number that was typed, or whatever else was sent in its place."""

    is_template = True
    preprocess = _as_it_arrived


class RangeField(gr.Slider):
    """A number from a slider, or whatever else was sent in its place."""

    is_template = True
    preprocess = _as_it_arrived


class ChoiceField(gr.Dropdown):
    """One of a list whose choices change, or whatever else was sent in its place."""

    is_template = True
    preprocess = _as_it_arrived


class FileUpload(gr.File):
    """An uploaded file as the path of an unread file, or several as a list of them."""

    is_template = True

    def preprocess(self, payload: Any) -> str | list[str] | None:
        files = getattr(payload, "root", payload)  # several come wrapped
        if isinstance(files, list):
            return [file.path for file in files]
        return files.path if files is not None else None
