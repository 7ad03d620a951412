"""What the Train tab shows of a job: its film, its curves, and algorithm 1 with running numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from app import film
from app.evenly import evenly
from app.jobs import Job, Moment
from app.pictures import data_url, from_pixels, to_image, to_pixels
from app.plots import MARGIN, layout_of
from app.run_scene import Lane, panel, scene_payload
from app.theme import between
from model.image_data import ImageData, tiled
from model.train import BANDS

COLUMNS = 5  # of a sheet of samples
EXAMPLES, IN_A_ROW = 20, 10  # training pictures, before a training begins
POINTS = 400  # of a curve: more than a screen can tell apart
SMOOTHING = 0.97
LANES = {
    "averaged": Lane("EMA weights", "samples, always from the same noise", "belief"),
    "raw": Lane("raw weights", "the same without averaging", "belief"),
    "x0": Lane("x_0", "a training picture", "signal"),
    "eps": Lane("ε", "the noise it got", "noise"),
    "x": Lane("x_t", "what the network sees"),
    "believed": Lane("ε_θ", "the noise it finds", "belief"),
    "error": Lane("error²", "of its answer: black is 0, white is 1"),
}


@dataclass(frozen=True, eq=False)
class _Frames:
    """The film as a panel takes it."""

    t: list[int]
    final: Tensor
    t_next: Sequence[int] = ()

    @property
    def kept(self) -> range:
        return range(len(self.t))


def data_rows(data: ImageData) -> dict[str, Any]:
    """The value of a `Sheet`: some of the pictures that a training draws from."""
    chosen = _examples(data)
    pictures = [
        {
            "image": data_url(from_pixels(data.pixels[i].movedim(0, -1).numpy())),
            "caption": data.classes[data.labels[i]] if data.classes else "",
            "hint": f"training picture {i + 1}",
            "role": "signal",
            "key": None,
        }
        for i in chosen
    ]
    if len(chosen) < len(data):
        count = f"{len(chosen)} of {len(data):,} pictures"
    else:
        count = f"{len(data)} pictures" if len(data) > 1 else "one picture"
    height, width = data.size
    note = f"{count} · {height} × {width} pixels"
    row = {"title": "What it learns from, x_0", "note": note, "pictures": pictures}
    return {"rows": [row], "columns": IN_A_ROW}


def _examples(data: ImageData) -> list[int]:
    """Which of the pictures; as many of each class, by turns, where there are classes."""
    if not data.classes:
        return evenly(len(data), EXAMPLES)
    each = max(1, EXAMPLES // len(data.classes))
    of_class = [
        torch.nonzero(data.labels == label).flatten()[:each].tolist()
        for label in range(len(data.classes))
    ]
    return [i for row in zip(*of_class, strict=False) for i in row][:EXAMPLES]


def film_payload(moments: Sequence[Moment]) -> dict[str, Any]:
    """The scene: samples as the training goes on, and one training example of each moment."""
    steps = [moment.step for moment in moments]
    sheets = {
        "averaged": [tiled(moment.averaged, COLUMNS) for moment in moments],
        "raw": [tiled(moment.raw, COLUMNS) for moment in moments],
    }
    seen = [moment for moment in moments if moment.example is not None]
    examples = [moment.example for moment in seen]
    errors = [(example.output - example.target).square() for example in examples]
    pictures = {
        "x0": [example.x0 for example in examples],
        "eps": [example.eps for example in examples],
        "x": [example.x_t for example in examples],
        "believed": [moment.believed for moment in seen],
        "error": [2 * error - 1 for error in errors],
    }
    t = torch.tensor([example.t for example in examples])
    loss = torch.stack([error.mean() for error in errors]).double()
    return scene_payload(
        [
            panel(
                _Frames(steps, sheets["averaged"][-1]), "Samples",
                _pixels(sheets), [], {}, end="",
            ),
            panel(
                _Frames([moment.step for moment in seen], examples[-1].x0),
                "One example, as algorithm 1 sees it", _pixels(pictures), [],
                {"x": ("t = #", t), "error": ("mean #", loss)}, end="",
            ),
        ],
        LANES,
        list(LANES),
        rising=True,
    )  # fmt: skip


def _pixels(lanes: dict[str, list[Tensor]]) -> dict[str, np.ndarray]:
    return {lane: to_pixels(torch.stack(images)) for lane, images in lanes.items()}


def smoothed(values: Sequence[float]) -> list[float]:
    """An exponential mean of what came so far, without a bias towards the first value."""
    mean, weight, result = 0.0, 0.0, []
    for value in values:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        result.append(mean / weight)
    return result


def loss_figure(job: Job) -> dict[str, Any]:
    """The loss of every step, and its smoothed course, on a log axis."""
    records = job.records[:]
    steps = [record.step for record in records]
    losses = [record.loss for record in records]
    chosen = evenly(len(records), POINTS)
    data = [
        _curve("each step", steps, losses, chosen, "--muted", 1),
        _curve("smoothed", steps, smoothed(losses), chosen, "--accent", 3),
    ]
    return _figure("loss, over training steps", data)


def bands_figure(job: Job) -> dict[str, Any]:
    """The loss of each tenth of t, smoothed: why the total is flat while samples improve."""
    records = job.records[:]
    T = job.plan.schedule["T"]
    data = []
    for band in range(BANDS):
        values = [
            (r.step, r.band_loss[band]) for r in records if r.band_loss[band] == r.band_loss[band]
        ]
        steps = [step for step, _ in values]
        curve = smoothed([value for _, value in values])
        colour = between(band / (BANDS - 1))
        title = f"t {band * T // BANDS + 1}–{(band + 1) * T // BANDS}"
        data.append(_curve(title, steps, curve, evenly(len(steps), POINTS), colour, 2))
    figure = _figure("loss of each tenth of t, smoothed", data)
    figure["layout"]["margin"] = MARGIN | {"l": 44, "r": 100}
    figure["layout"]["legend"] = {"bgcolor": "rgba(0,0,0,0)", "font": {"size": 11}}
    return figure


def _curve(
    name: str, x: Sequence[int], y: Sequence[float], chosen: Sequence[int], colour: str, width: int
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [x[i] for i in chosen],
        "y": [y[i] for i in chosen],
        "line": {"color": colour, "width": width},
        "hovertemplate": "%{y:.4f}<extra>%{fullData.name}</extra>",
    }


def _figure(title: str, data: list[dict]) -> dict[str, Any]:
    end = max((trace["x"][-1] for trace in data if trace["x"]), default=1)
    layout = layout_of(title, "", "", end)
    layout["margin"] = MARGIN | {"l": 44, "b": 48}
    layout["height"] = 300
    layout["showlegend"] = True
    layout["legend"] = {"orientation": "h", "y": -0.14, "x": 0, "bgcolor": "rgba(0,0,0,0)"}
    layout["yaxis"] |= {"type": "log", "exponentformat": "power"}
    layout["uirevision"] = "training"  # a zoom outlives the next numbers
    return {"data": data, "layout": layout, "cursor": "time"}


def algorithm_rows(job: Job) -> dict[str, Any]:
    """The value of an `Equations`: algorithm 1 of Ho et al. 2020, line by line, as it runs."""
    config = job.plan.config
    said = {"eps": "ε_θ(x_t, t)", "x0": "x̂_0(x_t, t)", "v": "v_θ(x_t, t)"}[config.target]
    wanted = {"eps": "ε", "x0": "x_0", "v": "v"}[config.target]
    seen = done = loss = last = ""
    if job.records:
        now = job.records[-1]
        seen = f"step {now.step:,}, {now.images:,} pictures seen"
        loss = (
            f"loss {now.loss:.4f}, length of the gradient {now.gradient_norm:.3f}, "
            f"learning rate {now.learning_rate:.2g}"
        )
        done = f"{now.fraction:.0%} done, {now.images_per_second:.0f} pictures/s"
    if examples := [moment.example for moment in job.film[:] if moment.example is not None]:
        last = f"in the last example t = {examples[-1].t}"
    lines = [
        ("1 · repeat", seen),
        ("2 · draw a training picture x_0", f"{config.batch} of them at once"),
        ("3 · draw a timestep t, each of 1 … T equally likely", last),
        ("4 · draw noise ε from N(0, 1) and mix it in", "x_t = √ᾱ_t x_0 + √(1−ᾱ_t) ε"),
        (f"5 · take a gradient step on ‖{wanted} − {said}‖^2", loss),
        ("6 · until the budget is used up", done),
    ]
    return {
        "rows": [
            {"title": title, "note": "", "terms": [{"text": text}] if text else []}
            for title, text in lines
        ]
    }


def export(job: Job, form: str) -> bytes:
    """The film as GIF or WEBP, the losses as CSV, or their figure as PNG."""
    if form == "CSV":
        return _table(job)
    if form == "PNG":
        return _loss_png(job)
    moments = [
        (
            [_sheet(moment.averaged), _sheet(moment.raw)],
            [f"EMA weights\nstep {moment.step:,}", f"raw weights\nstep {moment.step:,}"],
        )
        for moment in job.film
    ]
    return film.animation(moments, form)


def _sheet(samples: Tensor) -> Image.Image:
    return to_image(tiled(samples, COLUMNS)).convert("RGB")


def _table(job: Job) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    bands = [f"loss_band_{band + 1}" for band in range(BANDS)]
    writer.writerow(
        ["step", "images", "loss", *bands, "gradient_norm", "learning_rate", "images_per_second"]
    )
    for r in job.records[:]:
        values = (r.loss, *r.band_loss, r.gradient_norm, r.learning_rate, r.images_per_second)
        writer.writerow([r.step, r.images, *map(repr, values)])
    return buffer.getvalue().encode("utf-8")


def _loss_png(job: Job) -> bytes:
    from matplotlib.figure import Figure  # here: a quarter of a second for what few ask for

    figure = Figure(figsize=(6.4, 4.0), dpi=200, layout="constrained")
    axes = figure.add_subplot()
    steps, losses = zip(*((r.step, r.loss) for r in job.records[:]), strict=True)
    axes.plot(steps, losses, color="#9aa6b5", linewidth=0.7, label="each step")
    axes.plot(steps, smoothed(losses), color="#2457c5", linewidth=2, label="smoothed")
    axes.set_yscale("log")
    axes.set_xlabel("training step")
    axes.set_ylabel("loss")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
