"""Comparisons that are worth a name: two settings of a run from the same noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# What A and B may differ in, with what a run has where nobody chose otherwise.
DEFAULTS: dict[str, Any] = {
    "sampler": "ddpm",
    "steps": 50,
    "spacing": "trailing",
    "eta": 0.0,
    "variance": "posterior",
    "family": "as trained",
    "matched": True,
    "clip": True,
}
ALONE, OWN = "one run alone", "settings of your own"


@dataclass(frozen=True)
class Pair:
    """What A and B have other than the defaults, and the text about what there is to see."""

    lesson: str
    a: dict[str, Any]
    b: dict[str, Any]


PAIRS = {
    "DDPM beside DDIM, 20 steps": Pair(
        "pair_ddpm_ddim",
        {"steps": 20},
        {"sampler": "ddim", "steps": 20},
    ),
    "10 steps beside 100": Pair(
        "pair_fewer_steps",
        {"sampler": "ddim", "steps": 10},
        {"sampler": "ddim", "steps": 100},
    ),
    "σ² = β̃ beside σ² = β, 20 steps": Pair(
        "pair_variances",
        {"steps": 20},
        {"steps": 20, "variance": "beta"},
    ),
    "DDIM beside DPM-Solver++, 8 steps": Pair(
        "pair_solver",
        {"sampler": "ddim", "steps": 8},
        {"sampler": "dpm_solver", "steps": 8},
    ),
    "linear beside cosine": Pair(
        "pair_schedule",
        {"sampler": "ddim"},
        {"sampler": "ddim", "family": "cosine"},
    ),
    "cosine, matched beside naive": Pair(
        "pair_naive",
        {"sampler": "ddim", "family": "cosine"},
        {"sampler": "ddim", "family": "cosine", "matched": False},
    ),
    "clipped beside not": Pair(
        "pair_clipping",
        {"sampler": "ddim", "family": "cosine"},
        {"sampler": "ddim", "family": "cosine", "clip": False},
    ),
}
