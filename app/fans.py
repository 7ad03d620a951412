"""Branches of a run: from one of its steps, the noise is drawn anew, several times."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch import Tensor

from app.pictures import data_url, to_image
from app.runs import ENDINGS, RunSettings, branch, compute, ended, timesteps_of
from model.sampler import Step

BRANCHES = 8
PLACES = 5  # of a fan along the whole run


def step_at(settings: RunSettings, t: int) -> int:
    """Which of the run's kept steps is under way at t, as an index into `Run.kept`."""
    return compute(settings).place_at(t)


def steps_along(settings: RunSettings) -> list[int]:
    """Some kept steps from noise to image, evenly spaced."""
    last = len(compute(settings).kept) - 1
    return sorted({round(i * last / PLACES) for i in range(PLACES)})


def start(settings: RunSettings, place: int) -> tuple[Generator[Step, None, Tensor], int, int]:
    """Branches from the kept step `place`: their steps, its t, and how many steps they take.

    The steps return where the branches end, (BRANCHES, C, H, W).
    """
    run = compute(settings)
    index = run.kept[place]
    # Seeds of their own, the same at each return: not the run's, whose noise is one ending more.
    first = (settings.seed * 1_000 + 1) % 2**32
    seeds = range(first, first + BRANCHES)
    steps = ENDINGS(
        (settings, seeds, index), lambda: ended(branch(settings, run.x[place], index, seeds))
    )
    return steps, run.t[index], len(timesteps_of(settings)) - 1 - index


def sheet(settings: RunSettings, found: Sequence[tuple[int, Tensor]]) -> dict[str, Any]:
    """The value of a `Sheet`: a row a place, with (t, endings (B, C, H, W)) of each."""
    run = compute(settings)
    rows = []
    for t, endings in found:
        own = {
            "image": data_url(to_image(run.final)), "caption": "this run", "role": "signal",
            "hint": "where the run on show comes to",
        }  # fmt: skip
        rows.append(
            {
                "title": f"from t = {t}",
                "note": f"spread of the endings {spread(endings):.3f}",
                "pictures": [
                    own,
                    *(
                        {"image": data_url(to_image(x)), "caption": f"branch {i}", "role": "fresh"}
                        for i, x in enumerate(endings, 1)
                    ),
                ],
            }
        )
    return {"rows": rows, "columns": BRANCHES + 1}


def spread(endings: Tensor) -> float:
    """How far (B, C, H, W) lie apart: the root mean square of the pixels' deviations."""
    return torch.std(endings, dim=0, correction=0).square().mean().sqrt().item()
