"""The ways into the Reverse tab: an event of another tab fills in its settings and goes there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app import models
from app.events import JOB, QUICK
from app.forms import says_what_is_wrong
from app.pairs import ALONE, DEFAULTS
from app.pictures import Picture
from app.run_controls import NOISE, PICTURE, Controls, choose_model, choose_pair
from app.session import Session

TOP_JS = "() => { window.scrollTo(0, 0); return []; }"


@dataclass(frozen=True)
class Ways:
    """How an event of another tab comes here, with settings of its own."""

    tabs: gr.Tabs
    name: str  # of the tab
    session: Session
    controls: Controls

    def to_pair(self, event: Any, pair: str) -> None:
        """Let `event` show that pair of `app.pairs`."""
        controls = self.controls
        outputs = [controls.compare, *controls.sides, controls.asked]
        self._open(event).success(lambda: [pair, *choose_pair(pair)], outputs=outputs, **QUICK)

    def to_model(self, event: Any, inputs: Any, choose: Callable[..., tuple]) -> None:
        """Let `event` sample a model: `choose` makes (its key, a picture or None, from_step).

        It is asked where the trainings are, and so must be a function of a module.
        """
        controls = self.controls
        outputs = [
            controls.model, controls.label, controls.compare, controls.start, controls.from_step,
            controls.a.components["steps"], controls.asked,
        ]  # fmt: skip
        chosen = gr.State(None)
        self._open(event(choose, inputs, chosen, **JOB).success).success(
            with_model, chosen, outputs, **QUICK
        ).success(picture_of, chosen, self.session.picture, **QUICK)

    def _open(self, event: Any) -> Any:
        # Before its settings: what a tab that was never opened is told, it may forget.
        return event(lambda: gr.Tabs(selected=self.name), outputs=self.tabs, js=TOP_JS, **QUICK)


def picture_of(way: tuple[str, Picture | None, int | None] | None) -> Any:
    """The picture that a model restores, if it does."""
    return (way and way[1]) or gr.skip()


@says_what_is_wrong
def with_model(way: tuple[str, Picture | None, int | None] | None) -> list:
    """The controls for a model; for one that restores a picture, to begin with that, noised."""
    if way is None:
        raise ValueError("There is no model yet: train one first.")
    key, picture, from_step = way
    label, place, asked = choose_model(key)
    steps = min(DEFAULTS["steps"], models.load(key).schedule.T)
    if picture is None:
        return [key, label, ALONE, NOISE, place, steps, asked]
    return [key, label, ALONE, PICTURE, place | {"value": from_step}, steps, asked]
