"""What the tabs of one session share. Each person has their own; nothing here is global."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.catalogue import DEFAULT_POINTS
from app.pictures import Picture, built_in

DEFAULT_PICTURE = "hopper"


@dataclass(frozen=True)
class Session:
    """Components that more than one tab reads; made once, in `app.ui`."""

    picture: gr.State  # a Picture, or None for the default one
    points: gr.State  # control points (t/T, ᾱ) of the custom schedule
    runs: gr.State  # a tuple of the RunSettings that the Reverse tab shows
    mine: gr.BrowserState  # the keys of this browser's training and models; see tabs/train.py
    own: gr.State  # those of these models that are there, as a tuple of (title, key)

    @classmethod
    def create(cls) -> Session:
        """Inside a `gr.Blocks`."""
        return cls(
            picture=gr.State(None),
            points=gr.State([list(p) for p in DEFAULT_POINTS]),
            runs=gr.State(()),
            mine=gr.BrowserState({}),
            own=gr.State(()),
        )


def picture_or_default(picture: Picture | None) -> Picture:
    return picture or built_in(DEFAULT_PICTURE)
