"""What the Subtract-all tab shows: all the noise taken away at once, at every t.

All timesteps of a picture go through the network as one batch: here nothing is fed back.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from app import models
from app.cache import LRU
from app.evenly import evenly
from app.formulas import plain_difference, scaled_difference
from app.narrate import narrated
from app.pictures import data_url, to_image, to_pixels
from app.run_scene import Lane, equation, panel, scene_payload
from app.runs import Run, RunSettings, denoiser_of, endings, schedule_of
from app.settings import current
from model.denoiser import Prediction
from model.forward import q_sample
from model.sampler import noise_like, standard_noise

MOST_MOMENTS = 100  # of a long schedule, evenly spaced
COUNTS = (1, 2, 5, 10, 50)  # numbers of steps that are compared
ROWS = 4  # with as many seeds
AVERAGED = 256  # one-step predictions

BELIEF = "belief"
SUBTRACT_LANES = {
    "x": Lane("x_t", "the input at this step"),
    "eps": Lane("ε_θ", "all the noise it finds", BELIEF),
    "plain": Lane("x_t − ε_θ", "all of it removed, as it is", BELIEF),
    "x0": Lane("x̂_0", "all of it removed, to scale", BELIEF),
}
WAYS = {"plain difference": ("x", "eps", "plain"), "to scale": ("x", "eps", "x0")}
SCOPE_LANES = {
    "x": Lane("x_t", "the picture, noised"),
    "true": Lane("ε", "the noise that is in it", "noise"),
    "eps": Lane("ε_θ", "the noise it finds", BELIEF),
    "error": Lane("ε_θ − ε", "what it gets wrong", BELIEF),
    "x0": Lane("x̂_0", "the picture it foresees", BELIEF),
}


@dataclass(frozen=True, eq=False)
class Look:
    """What the network says of N noised pictures, each at its own t."""

    t: list[int]
    x: Tensor  # (N, C, H, W)
    prediction: Prediction
    final: Tensor  # (C, H, W): where a run came to, or what was noised

    t_next: Sequence[int] = ()

    @property
    def kept(self) -> range:
        return range(len(self.t))

    @property
    def plain(self) -> Tensor:
        """x_t − ε_θ, (N, C, H, W)."""
        return self.x - self.prediction.eps


def raw(settings: RunSettings) -> RunSettings:
    """The same network asked as it was trained: nothing clipped, nothing exaggerated."""
    return replace(settings, clip=False, guidance=1.0)


@torch.no_grad()
def ask(settings: RunSettings, x: Tensor, t: Sequence[int]) -> Prediction:
    """What the network says of x (N, C, H, W) at t, all in one pass; on the CPU, as x is."""
    return denoiser_of(settings)(models.there(x), torch.tensor(t)).cpu()


# What both kinds of looks depend on → the look and its noise; a look is one large pass.
LOOKS: LRU[tuple, tuple[Look, Tensor]] = LRU(current().run_cache << 19)


def _nbytes(look: tuple[Look, Tensor]) -> int:
    return 4 * look[0].x.nbytes


def along(run: Run) -> Look:
    """The network's own words along a run, before they are clipped."""
    return LOOKS.known((run.settings,), lambda: (_along(run), run.final), _nbytes)[0]


def _along(run: Run) -> Look:
    chosen = evenly(len(run.kept), MOST_MOMENTS)
    t = [run.t[run.kept[i]] for i in chosen]
    x = run.x[chosen]
    settings = replace(run.settings, clip=False)
    return Look(t, x, ask(settings, x, t), run.final)


def microscope(settings: RunSettings, x0: Tensor) -> tuple[Look, Tensor]:
    """A known picture (C, H, W) noised to every t with one ε; returns the look, and that ε."""
    key = settings, x0.numpy().tobytes()
    return LOOKS.known(key, lambda: _microscope(settings, x0), _nbytes)


def _microscope(settings: RunSettings, x0: Tensor) -> tuple[Look, Tensor]:
    schedule = schedule_of(settings)
    t = [schedule.T - i for i in evenly(schedule.T, MOST_MOMENTS)]
    eps = standard_noise(x0.shape, [settings.seed])
    x = q_sample(schedule, x0.expand(len(t), *x0.shape), torch.tensor(t), eps)
    return Look(t, x, ask(raw(settings), x, t), x0), eps[0]


def subtract_payload(run: Run, look: Look, way: str) -> dict[str, Any]:
    """The scene of the tab's first panel."""
    lanes = {"x": look.x, "eps": look.prediction.eps, "plain": look.plain, "x0": look.prediction.x0}
    scaled = scaled_difference(schedule_of(run.settings), torch.tensor(look.t))
    return scene_payload(
        [
            panel(
                look,
                f"{run.settings.family}, T = {schedule_of(run.settings).T}",
                {lane: to_pixels(images) for lane, images in lanes.items()},
                [equation(plain_difference(), "plain"), equation(scaled, "x0")],
                {lane: ("std #", _std(images)) for lane, images in lanes.items()},
            )
        ],
        SUBTRACT_LANES,
        WAYS[way],
    )


def scope_payload(settings: RunSettings, look: Look, eps: Tensor) -> dict[str, Any]:
    """The scene of the microscope."""
    error = look.prediction.eps - eps
    lanes = {
        "x": look.x,
        "true": eps.expand_as(look.x),
        "eps": look.prediction.eps,
        "error": error,
        "x0": look.prediction.x0,
    }
    scaled = scaled_difference(schedule_of(settings), torch.tensor(look.t))
    return scene_payload(
        [
            panel(
                look,
                "one picture, one noise, every t",
                {lane: to_pixels(images) for lane, images in lanes.items()},
                [equation(scaled)],
                {
                    "true": ("std #", _std(lanes["true"])),
                    "eps": ("std #", _std(lanes["eps"])),
                    "error": ("rms #", rms(error)),
                    "x0": ("# off", rms(look.prediction.x0 - look.final)),
                },
                end="the picture itself",
            )
        ],
        SCOPE_LANES,
        list(SCOPE_LANES),
    )


def rms(x: Tensor) -> Tensor:
    """Root mean square of each of (N, C, H, W), (N,) float64."""
    return x.double().square().mean((1, 2, 3)).sqrt()


def _std(x: Tensor) -> Tensor:
    return x.double().std((1, 2, 3))


# -- one step against many -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Comparison:
    """Where few and many steps come to from the same noise."""

    endings: dict[int, Tensor]  # number of steps → (ROWS, C, H, W)
    average: Tensor  # (C, H, W), of AVERAGED predictions in one step from pure noise
    expected: Tensor | None  # (C, H, W), the average training picture, where it is known


def counts(settings: RunSettings) -> list[int]:
    """Those of `COUNTS` that a run of this model can have."""
    return [count for count in COUNTS if count <= schedule_of(settings).T]


def compare(settings: RunSettings) -> Generator[dict[str, Any], None, Comparison]:
    """DDIM in 1, 2, … 50 steps from the same noise, yielding values for a `Progress`."""
    seeds = range(settings.seed, settings.seed + ROWS)
    reached = {}
    for count in counts(settings):
        few = replace(settings, sampler="ddim", eta=0.0, steps=count)
        reached[count] = yield from narrated(endings(few, seeds), few.title, count)
    checkpoint = models.load(settings.model)
    generators = [torch.Generator().manual_seed(seed) for seed in range(AVERAGED)]
    x = noise_like(torch.empty(AVERAGED, *checkpoint.shape), generators)
    T = schedule_of(settings).T
    # Clipped as each ending is: 1/√ᾱ_T would make a huge number of any error in ε_θ.
    guesses = ask(replace(settings, guidance=1.0), x, [T] * AVERAGED).x0
    return Comparison(reached, guesses.mean(0), checkpoint.expected(settings.label))


def comparison_payload(found: Comparison, settings: RunSettings) -> dict[str, Any]:
    """The value of a `Sheet`: a row a seed, then the averages."""
    rows = [
        {
            "title": f"seed {settings.seed + row}",
            "pictures": [
                {
                    "image": data_url(to_image(images[row])),
                    "caption": f"{count} steps" if count > 1 else "1 step",
                    "role": BELIEF if count == 1 else "",
                    "hint": "x̂_0 of pure noise" if count == 1 else "DDIM from the same noise",
                }
                for count, images in found.endings.items()
            ],
        }
        for row in range(ROWS)
    ]
    pictures = [
        {
            "image": data_url(to_image(found.average)),
            "caption": "one step, averaged",
            "role": BELIEF,
            "hint": f"the average of {AVERAGED} predictions from pure noise",
        }
    ]
    note = ""
    if found.expected is not None:
        pictures.append(
            {
                "image": data_url(to_image(found.expected)),
                "caption": "training mean",
                "role": "signal",
                "hint": "the average of the pictures that the network was trained on",
            }
        )
        note = f"they differ by {rms((found.average - found.expected)[None]).item():.3f} (rms)"
    rows.append({"title": f"{AVERAGED} seeds in one step", "note": note, "pictures": pictures})
    return {"rows": rows, "columns": len(found.endings)}
