"""What a scene of the reverse process sends to the browser: the pictures and numbers of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from app.formulas import Formula
from app.pictures import data_url, packed, packed_float32, to_image, to_pixels
from app.runs import Run
from app.theme import colour_name, css_dash_of
from model.sampler import Step

START = 0.7  # where the cursor stands at first, as a share of the run: the image has just come out


@dataclass(frozen=True)
class Lane:
    """One picture of every step: how it is written, what it is, and whose colour it has."""

    symbol: str
    title: str
    role: str = ""


LANES = {
    "x": Lane("x_t", "what the network sees"),
    "eps": Lane("ε_θ", "the noise it finds", "belief"),
    "x0": Lane("x̂_0", "the image it foresees", "belief"),
    "mean": Lane("mean", "the step before z is added"),
    "z": Lane("z", "the noise added anew", "fresh"),
}
# The same where no subscripts can be set.
PLAIN = {"x": "xₜ, seen", "eps": "ε, found", "x0": "x̂₀, foreseen", "mean": "mean", "z": "z, added"}
SHOWN = ("x", "eps", "x0")  # until a person chooses


def scene_payload(
    panels: Sequence[dict[str, Any]],
    lanes: Mapping[str, Lane] = LANES,
    shown: Sequence[str] = SHOWN,
    *,
    rising: bool = False,
) -> dict[str, Any]:
    """The value of a `RunData`: one panel or two, and the lanes that they may show.

    `rising`: its t are steps of a training, and not of the reverse process.
    """
    return {
        "rising": rising,
        "start": START,
        "shown": list(shown),
        "lanes": [{"key": key, **asdict(lane)} for key, lane in lanes.items()],
        "runs": list(panels),
    }


def runs_payload(runs: Sequence[Run]) -> dict[str, Any]:
    """The value of a `RunData` for one run, or for two side by side."""
    paired = len(runs) > 1
    return scene_payload(
        [
            panel(
                run,
                (f"{'AB'[slot]} · " if paired else "") + run.settings.title,
                run.lanes,
                [equation(run.formula)],
                {
                    "x": ("std #", run.std_x),
                    "eps": ("std #", run.std_eps),
                    "x0": ("# to go", run.distance),
                },
                slot,
            )
            for slot, run in enumerate(runs)
        ]
    )


class Steps(Protocol):
    """What a panel is about: N steps, of which some have pictures, and what they lead to."""

    t: Sequence[int]
    t_next: Sequence[int]
    kept: Sequence[int]
    final: Tensor


def panel(
    steps: Steps,
    title: str,
    lanes: Mapping[str, np.ndarray],
    equations: Sequence[dict[str, Any]],
    measures: Mapping[str, tuple[str, Tensor]],
    slot: int = 0,
    end: str = "the end of this run",
) -> dict[str, Any]:
    """One panel of a `Walk`.

    lanes: key → uint8 (kept, H, W, C). measures: a lane's key → a text in which # is a number, and
    that number for each of the N steps. `end` says what the picture `steps.final` is; where it
    says nothing, that is not shown.
    """
    channels, height, width = steps.final.shape
    return {
        "title": title,
        "colour": colour_name(slot),
        "cssDash": css_dash_of(slot),
        "width": width,
        "height": height,
        "channels": channels,
        "steps": len(steps.t),
        "kept": list(steps.kept),
        "t": list(steps.t),
        "tNext": list(steps.t_next),
        "lanes": {lane: packed(frames) for lane, frames in lanes.items()},
        "final": packed(to_pixels(steps.final)),
        "end": end,
        "equations": list(equations),
        "measures": {
            lane: {
                "text": text,
                "values": packed_float32(values),
                "places": 3 if values.is_floating_point() else 0,
            }
            for lane, (text, values) in measures.items()
        },
    }


def equation(rule: Formula, lane: str | None = None) -> dict[str, Any]:
    """An image equation; with `lane`, one that shows only where that lane does."""
    return {
        "lane": lane,
        "text": rule.text,
        "groups": rule.groups,
        "factors": {name: packed_float32(values) for name, values in rule.factors.items()},
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
