"""What a scene of the reverse process sends to the browser: the pictures and numbers of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.pictures import data_url, packed, packed_float32, to_image, to_pixels
from app.runs import Run
from app.theme import colour_name, css_dash_of
from model.sampler import Step

START = 0.7  # where the cursor stands at first, as a share of the run: the image has just come out
# Where no subscripts can be set, and in the order of LANES.
PLAIN = {"x": "xₜ, seen", "eps": "ε, found", "x0": "x̂₀, foreseen", "mean": "mean", "z": "z, added"}
LANES = {  # what can be switched on: key → (symbol, what it is, role)
    "x": ("x_t", "what the network sees", ""),
    "eps": ("ε_θ", "the noise it finds", "belief"),
    "x0": ("x̂_0", "the image it foresees", "belief"),
    "mean": ("mean", "the step before z is added", ""),
    "z": ("z", "the noise added anew", "fresh"),
}
SHOWN = ["x", "eps", "x0"]  # until a person chooses


def runs_payload(runs: Sequence[Run]) -> dict[str, Any]:
    """The value of a `RunData`: one run, or two side by side."""
    return {
        "start": START,
        "shown": SHOWN,
        "lanes": [
            {"key": key, "symbol": symbol, "title": title, "role": role}
            for key, (symbol, title, role) in LANES.items()
        ],
        "runs": [_run(run, slot, len(runs) > 1) for slot, run in enumerate(runs)],
    }


def _run(run: Run, slot: int, paired: bool) -> dict[str, Any]:
    channels, height, width = run.final.shape
    rule = run.formula
    title = run.settings.title
    return {
        "title": f"{'AB'[slot]} · {title}" if paired else title,
        "colour": colour_name(slot),
        "cssDash": css_dash_of(slot),
        "width": width,
        "height": height,
        "channels": channels,
        "steps": len(run.t),
        "kept": run.kept,
        "t": run.t,
        "tNext": run.t_next,
        "lanes": {lane: packed(frames) for lane, frames in run.lanes.items()},
        "final": packed(to_pixels(run.final)),
        "equation": {
            "text": rule.text,
            "groups": rule.groups,
            "factors": {name: packed_float32(values) for name, values in rule.factors.items()},
        },
        "stdX": packed_float32(run.std_x),
        "stdEps": packed_float32(run.std_eps),
        "distance": packed_float32(run.distance),
    }


def progress_payload(title: str, step: Step, steps: int, seconds_left: float) -> dict[str, Any]:
    """The value of a `Progress` while a run is under way."""
    return {
        "title": title,
        "done": step.index + 1,
        "of": steps,
        "seconds": round(seconds_left, 1),
        "pictures": [
            {"symbol": f"x_{{{step.t_next}}}", "image": data_url(to_image(step.x_next[0]))},
            {"symbol": "x̂_0", "image": data_url(to_image(step.prediction.x0[0]))},
        ],
    }
