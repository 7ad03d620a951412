"""A run as files: an animation, a strip, and all its numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from app import film
from app.pictures import from_pixels
from app.run_scene import PLAIN, SHOWN
from app.runs import Run

FRAMES = 60
CELLS = 11


def export(runs: Sequence[Run], form: str) -> bytes:
    """`form`: GIF or WEBP for a film of all runs in step, PNG for a strip, CSV for numbers."""
    match form:
        case "PNG":
            return film.strip_png(
                [row for run, letter in _each(runs) for row in _rows(run, letter)]
            )
        case "CSV":
            return table(runs)
        case _:
            return film.animation(_moments(runs), form)


def table(runs: Sequence[Run]) -> bytes:
    """One line a step: its timesteps, the coefficients of its equation, and what was measured."""
    names = list(dict.fromkeys(name for run in runs for name in run.formula.factors))
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    measured = ["std_x", "std_eps", "x0_to_end"]
    writer.writerow(
        ["run", "step", "t", "t_next", *(f"factor_{name}" for name in names), *measured]
    )
    for run in runs:
        values = {name: column.tolist() for name, column in run.formula.factors.items()}
        columns = [values.get(name, [""] * len(run.t)) for name in names]
        columns += [run.std_x.tolist(), run.std_eps.tolist(), run.distance.tolist()]
        for step, (t, t_next, *row) in enumerate(zip(run.t, run.t_next, *columns, strict=True), 1):
            cells = (repr(value) if value != "" else "" for value in row)
            writer.writerow([run.settings.title, step, t, t_next, *cells])
    return buffer.getvalue().encode("utf-8")


def _each(runs: Sequence[Run]) -> list[tuple[Run, str]]:
    """The runs, and with what their captions begin: A or B, where there are two."""
    return [(run, f"{'AB'[i]}: " if len(runs) > 1 else "") for i, run in enumerate(runs)]


def _picture(pixels: np.ndarray) -> Image.Image:
    return from_pixels(pixels).convert("RGB")


def _moments(runs: Sequence[Run]) -> list[film.Moment]:
    """x_t and x̂_0 of each run, from noise to the final image; two runs go in step with t."""
    longest = max(runs, key=lambda run: len(run.kept))
    last = len(longest.kept) - 1
    frames = min(FRAMES, last + 1)
    moments = []
    for i in range(frames):
        t = longest.t[longest.kept[round(i / max(1, frames - 1) * last)]]
        pictures, captions = [], []
        for run, letter in _each(runs):
            place = run.place_at(t)
            for lane in ("x", "x0"):
                pictures.append(_picture(run.lanes[lane][place]))
                captions.append(f"{letter}{PLAIN[lane]}\nt = {run.t[run.kept[place]]}")
        moments.append((pictures, captions))
    ends = [(_picture(run.lanes["next"][-1]), letter) for run, letter in _each(runs)]
    pictures = [picture for picture, _ in ends for _ in range(2)]
    captions = [f"{letter}the end\nt = 0" for _, letter in ends for _ in range(2)]
    moments.append((pictures, captions))
    return moments


def _rows(run: Run, letter: str) -> list[film.Row]:
    """The lanes that are on show at first, at eleven moments."""
    last = len(run.kept) - 1
    cells = min(CELLS, last + 1)
    places = [round(i / max(1, cells - 1) * last) for i in range(cells)]
    times = [f"t = {run.t[run.kept[place]]}" for place in places]
    return [
        (letter + PLAIN[lane], [_picture(run.lanes[lane][place]) for place in places], times)
        for lane in SHOWN
    ]
