"""What `benchmarks.cold_start` compares with: a Gradio app of one slider, without PyTorch."""

from __future__ import annotations

import os

import gradio as gr


def build() -> gr.Blocks:
    with gr.Blocks(analytics_enabled=False) as page:
        slider = gr.Slider(0, 1000, value=300, step=1, label="t", elem_id="time")
        twice = gr.Number(label="2 t", elem_id="twice")
        slider.input(lambda t: 2 * t, slider, twice, queue=False, show_progress="hidden")
    return page


if __name__ == "__main__":
    build().launch(server_port=int(os.environ["PORT"]), run_history=False, ssr_mode=False)
