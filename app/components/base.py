"""What every browser-side view has in common.

A view is a `gr.HTML` whose markup, style and script stand in files beside it. Python sends its
whole state in `value`, once; the script draws it and follows the timestep by itself.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
import orjson
from gradio.events import EventListener

HERE = Path(__file__).parent


@cache
def asset(name: str) -> str:
    """The text of a file beside this one."""
    return (HERE / name).read_text(encoding="utf-8")


class View(gr.HTML):
    """A `gr.HTML` made of STEM.html, STEM.js and STEM.css, or STYLE.css where that is named.

    `scene` names the scene (see runtime.js) whose timestep and data the view shares with others;
    it stands in the markup as ``data-scene`` because only `value` survives every update.
    Whatever is dynamic travels in `value`, as plain JSON.
    """

    STEM: ClassVar[str]
    STYLE: ClassVar[str] = ""
    EVENTS: ClassVar[list[EventListener]] = []
    CLASSES: ClassVar[list[str]] = []
    _built = False  # whether it stands in the page, whose config is plain data

    def __init__(self, value: Any = None, *, scene: str = "", **kwargs: Any) -> None:
        # Gradio calls the constructor again with everything in the config when it updates.
        for own in ("html_template", "css_template", "js_on_load", "apply_default_css"):
            kwargs.pop(own, None)
        kwargs.setdefault("elem_classes", self.CLASSES)
        self.scene = scene
        script = (
            "'use strict';\n"
            "const { scene, element: make, decimal, symbol, say } = window.unnoise;\n"
        )
        super().__init__(
            value,
            html_template=self.markup(),
            css_template=asset(f"{self.STYLE or self.STEM}.css"),
            js_on_load=script + asset(f"{self.STEM}.js"),
            apply_default_css=False,
            **kwargs,
        )
        self._built = True

    def markup(self) -> str:
        """The static markup; nothing of a user's may ever stand in it."""
        return asset(f"{self.STEM}.html").replace("SCENE", self.scene)

    def __getattr__(self, name: str) -> Any:
        # gr.HTML would take any word that stands in quotes in the script for an event.
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def preprocess(self, payload: Any) -> None:
        """Views show; what a browser sends back as their value is never read."""
        return

    def postprocess(self, value: Any) -> Any:
        """Plain JSON, as text from here on: Gradio would look through it for files three times,
        with a coroutine for each number."""
        if value is None or not self._built:
            return value
        return orjson.Fragment(orjson.dumps(value))

    def api_info(self) -> dict[str, Any]:
        return {"type": "object", "description": f"what a {type(self).__name__} draws"}
