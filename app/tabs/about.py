"""The About tab: what is real here, and whom it is owed to."""

from __future__ import annotations

import gradio as gr

from app import cards
from app.prose import prose


def build() -> None:
    """Lay the tab out inside the current context."""
    with gr.Column(elem_classes="about"):
        prose("about_real")
        with gr.Column(elem_classes="section"):
            prose("about_models")
            gr.Markdown(cards.models_list(), elem_id="about-models")
        with gr.Column(elem_classes="section"):
            prose("about_papers")
        with gr.Column(elem_classes="section"):
            prose("about_credits")
        gr.Markdown(cards.versions(), elem_id="about-versions", elem_classes="credit")
