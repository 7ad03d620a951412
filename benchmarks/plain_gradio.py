"""What `benchmarks.drag` compares with: the plain Gradio way to noise a picture, tuned.

A slider, a Python handler with the very computations of our page (two schedules, 64×64), and two
`gr.Image`. Tuned means: no queue, no progress display, no run history, no server-side rendering,
and the image format that Gradio writes fastest (JPEG 0.4 ms, PNG 0.9 ms, WebP 1.3 ms a picture).
"""

from __future__ import annotations

import os

import gradio as gr
import numpy as np

from app.pictures import built_in, to_pixels
from model.forward import q_sample
from model.sampler import standard_noise
from model.schedule import NoiseSchedule

SCHEDULES = (NoiseSchedule.linear(), NoiseSchedule.cosine())
X0 = built_in("hopper").at(64, False)  # (3, 64, 64) in [−1, 1]
EPS = standard_noise(X0.shape, [0])[0]


def noised(t: int) -> list[np.ndarray]:
    """x_t of the same picture and noise under each schedule, (H, W, 3) uint8."""
    return [to_pixels(q_sample(schedule, X0, t, EPS)) for schedule in SCHEDULES]


def build() -> gr.Blocks:
    with gr.Blocks(analytics_enabled=False) as page:
        t = gr.Slider(0, SCHEDULES[0].T, value=300, step=1, label="t", elem_id="time")
        with gr.Row():
            pictures = [
                gr.Image(value, format="jpeg", height=320, elem_classes="noised")
                for value in noised(300)
            ]
        t.input(
            noised, t, pictures, queue=False, show_progress="hidden", trigger_mode="always_last"
        )
    return page


if __name__ == "__main__":
    build().launch(server_port=int(os.environ["PORT"]), run_history=False, ssr_mode=False)
