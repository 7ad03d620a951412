"""The views, one class each; the payload of each is written down in its docstring."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
import plotly
from gradio.data_classes import FileData
from gradio.events import EventListener
from gradio.processing_utils import save_bytes_to_cache

from app.components.base import View

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
gr.set_static_paths([PLOTLY_JS])


class SceneData(View):
    """Publishes a scene: the data that other views of the same `scene` name draw.

    Draws nothing itself. Payload: what `app.scenes.scene_payload` returns.
    """

    STEM = "scene_data"
    CLASSES: ClassVar = ["gone"]


class Timestep(View):
    """The slider over t with play, pause, single steps and speed; it drives its scene.

    No payload. Event `settled` with {"t": int}: the person let go of the timestep. Never during
    a drag, so that a drag costs no request. With `sweep`, t moves by itself at first, until
    somebody touches the page; never for those who asked their system for less motion. With
    `follower`, the `elem_id` of what `settled` draws, it waits until that comes into view.
    """

    STEM = "timestep"
    EVENTS: ClassVar = [EventListener("settled")]

    def __init__(
        self, value: Any = None, *, sweep: bool = False, follower: str = "", **kwargs: Any
    ) -> None:
        self.sweep, self.follower = sweep, follower
        super().__init__(value, **kwargs)

    def markup(self) -> str:
        text = super().markup().replace("SWEEP", "yes" if self.sweep else "")
        return text.replace("FOLLOWER", self.follower)


class Steps(Timestep):
    """The same slider for a scene of runs: from noise, left, to the image."""

    CLASSES: ClassVar = ["wide"]

    def markup(self) -> str:
        text = super().markup().replace("timestep <i>t</i>", "step")
        text = text.replace("from here to T", "from here to the image")
        return text.replace("Timestep t", "Step").replace("Timestep", "Step of the run")


class RunData(View):
    """Publishes a scene of runs of the reverse process; draws nothing itself.

    Payload: what `app.run_scene.runs_payload` returns.
    """

    STEM = "run_data"
    CLASSES: ClassVar = ["gone"]


class Walk(View):
    """One panel a run: the lanes at the current step, large, and its image equation."""

    STEM = "walk"


class Lanes(View):
    """One row a lane: eleven moments of the run; a click on a cell goes there."""

    STEM = "lanes"
    STYLE = "strip"


class Progress(View):
    """What is being computed: pictures, a bar, the time left; nothing where there is nothing.

    Payload: None, or {"title", "done", "of", "pictures": [{"symbol", "image"}]} with "seconds"
    that are left, or "text" in place of numbers.
    """

    STEM = "progress"
    until_end = True  # whatever becomes of its event, it shows nothing afterwards


class Sheet(View):
    """Rows of captioned pictures, which may be there to choose from.

    Payload: {"rows": [{"title", "note", "pictures": [{"image": data URL, "caption", "hint",
    "role", "key": what a click sends, or None}]}], "columns": of a wide page, "narrow": of a
    phone's}.
    Event `picked` with {"key"}.
    """

    STEM = "sheet"
    EVENTS: ClassVar = [EventListener("picked")]


class UNetData(View):
    """Publishes a network and what a forward pass left in it; draws nothing itself.

    Payload: what `app.anatomy.alive` or `app.diagram.classic_diagram` returns.
    """

    STEM = "unet_data"
    CLASSES: ClassVar = ["gone"]


class UNetDiagram(View):
    """The network as a diagram in SVG, its activations in the blocks, and the inside of one.

    Event `opened` with {"block": name}.
    """

    STEM = "unet"
    EVENTS: ClassVar = [EventListener("opened")]


class Attention(View):
    """Where a pixel looks, head by head; the pixel is chosen by click or arrow keys."""

    STEM = "attention"


class Cards(View):
    """One card a schedule: the noised picture, its numbers, its equation, its histogram."""

    STEM = "cards"


class Strip(View):
    """One row a schedule, eleven timesteps from 0 to T; a click on a cell goes there."""

    STEM = "strip"


class AlignedStrip(Strip):
    """A `Strip` with the margins of a `Chart`: the cells stand under its t axis."""

    CLASSES: ClassVar = ["aligned"]


class Equations(View):
    """Image equations: rows of pictures with operators and coefficients between them.

    Payload: {"rows": [{"title": str, "note": str, "terms": [term, …]}]}, where a term is one of
    {"image": data URL, "symbol": "x_{t-1}", "role": a symbol's role, "hint": str} or {"text": str}.
    """

    STEM = "equations"


class Chart(View):
    """A plotly chart that works offline, with a cursor at the scene's t that needs no server.

    Payload: {"data", "layout"} of plotly, plus "cursor": "t" or "fraction" (of the longest T).
    Colours may be names of CSS variables ("--curve-1"); they follow the theme.
    """

    STEM = "chart"

    def markup(self) -> str:
        return super().markup().replace("LIBRARY", f"/gradio_api/file={PLOTLY_JS.as_posix()}")


class Readout(View):
    """A table with one row a schedule: fixed facts from the payload, and live ones at t.

    Payload: {"rows": [{"key", "cells": [str, …], "warning": str}], "columns": [str, …]}.
    """

    STEM = "readout"


class Points(View):
    """Control points of ᾱ(t/T), dragged or moved by keyboard; monotone by construction.

    Payload: {"points": [[u, ᾱ], …]}. Event `edited` with {"points": …} when a point is let go.
    """

    STEM = "points"
    EVENTS: ClassVar = [EventListener("edited")]


class Picker(View):
    """A row of thumbnails of which one is chosen.

    Payload: {"choices": [{"key", "title", "image": data URL}], "chosen": key or None}.
    Event `picked` with {"key": str}.
    """

    STEM = "picker"
    EVENTS: ClassVar = [EventListener("picked")]


class Download(View):
    """Saves a file in the browser as soon as it is given one.

    Payload: (file name, bytes). The bytes go through Gradio's cache, which forgets them in time.
    """

    STEM = "download"
    CLASSES: ClassVar = ["gone"]
    saves = True  # a file, which takes a thread

    def postprocess(self, value: tuple[str, bytes] | None) -> dict | None:
        if value is None:
            return None
        name, content = value
        path = save_bytes_to_cache(content, name, self.GRADIO_CACHE)
        return {"file": FileData(path=path, orig_name=name).model_dump(), "name": name}


class Opening(View):
    """Asks for the settings that the page's address names of one tab; draws nothing itself.

    `place`: the tab's id. Payload: {"scenes": {scene: {setting: value}}}, which the scenes' views
    take over. Events: `linked` with {"query"}, once, if the address names settings of this tab;
    `opened` when they have arrived, and whenever the tab is opened after that.
    """

    STEM = "opening"
    EVENTS: ClassVar = [EventListener("linked"), EventListener("opened")]
    CLASSES: ClassVar = ["gone"]

    def __init__(self, value: Any = None, *, place: str = "", **kwargs: Any) -> None:
        self.place = place
        super().__init__(value, **kwargs)

    def markup(self) -> str:
        return super().markup().replace("PLACE", self.place)


class Header(View):
    """The title of the page, the button that copies its address, and the switch of the theme.

    Event `asked` with {"tab", "scenes": {scene: {setting: value}}}: a person wants an address.
    Payload: {"query", "note", "number": another at each time}, the answer to that.
    """

    STEM = "header"
    EVENTS: ClassVar = [EventListener("asked")]
