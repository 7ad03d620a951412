"""Runs of the reverse process: what a person asks for → every step of it, computed once.

    RunSettings ── record ──► Step, Step, Step … ──► Run, kept in a cache that all sessions share

The settings are the key of the cache: a run depends on nothing else. What two people ask for at
the same time is computed once; of different runs, the networks' passes are put together.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app import models
from app.batching import shared
from app.cache import LRU
from app.catalogue import CUSTOM, Recipe
from app.evenly import evenly
from app.forms import LARGEST_SEED, check_choice, check_integer, check_number
from app.formulas import Formula, formula
from app.once import Once, outcome
from app.pictures import Picture, to_pixels
from app.settings import current
from model.checkpoint import Checkpoint
from model.denoiser import Denoiser, GuidedDenoiser
from model.forward import q_sample
from model.sampler import VARIANCES, Denoise, Step, ddim, ddpm, dpm_solver, heun, noise_like
from model.schedule import FAMILIES, SPACINGS, NoiseSchedule

SAMPLERS = {"ddpm": "DDPM", "ddim": "DDIM", "heun": "Heun", "dpm_solver": "DPM-Solver++ 2M"}
TRAINED = "as trained"
SCHEDULES = (TRAINED, *FAMILIES, CUSTOM)
MOST_STEPS = 1000
MOST_GUIDANCE = 20
# The pictures that travel to the browser for one run: of 1000 large steps only some are kept.
MOST_BYTES = 3_000_000


@dataclass(frozen=True)
class RunSettings:
    """All that decides a run; made and checked by `run_settings`."""

    model: str
    label: int | None = None
    guidance: float = 1.0
    seed: int = 0
    sampler: str = "ddim"
    steps: int = 50
    spacing: str = "trailing"
    eta: float = 0.0
    variance: str = "posterior"
    family: str = TRAINED
    T: int | None = None  # of another schedule; None takes as many steps as the model's own
    points: tuple[tuple[float, float], ...] = ()
    matched: bool = True
    clip: bool = True
    picture: Picture | None = None  # start from it, noised to from_step; None: from pure noise
    from_step: int | None = None

    @property
    def adds_noise(self) -> bool:
        return self.sampler == "ddpm" or (self.sampler == "ddim" and self.eta > 0)

    @property
    def title(self) -> str:
        """How a run is called in the page: the sampler, and what is not usual."""
        name = SAMPLERS[self.sampler]
        if self.sampler == "ddim" and self.eta:
            name += f" η = {self.eta:g}"
        if self.sampler == "ddpm" and self.variance == "beta":
            name += " σ² = β"
        parts = [name, f"{self.steps} step{'s' if self.steps > 1 else ''}"]
        if self.spacing != "trailing":
            parts.append(self.spacing)
        if self.family != TRAINED:
            T = f" T = {self.T}" if self.T is not None else ""
            parts.append(f"{self.family}{T}, {'matched' if self.matched else 'naive'}")
        if not self.clip:
            parts.append("not clipped")
        if self.from_step is not None:
            parts.append(f"from t = {self.from_step}")
        return " · ".join(parts)


def run_settings(
    *,
    model: Any,
    label: Any = None,
    guidance: Any = 1.0,
    seed: Any = 0,
    sampler: Any = "ddim",
    steps: Any = 50,
    spacing: Any = "trailing",
    eta: Any = 0.0,
    variance: Any = "posterior",
    family: Any = TRAINED,
    T: Any = None,
    points: Any = (),
    matched: Any = True,
    clip: Any = True,
    picture: Picture | None = None,
    from_step: Any = None,
) -> RunSettings:
    """Settings from outside, checked, and with what a sampler ignores set to its default.

    Raises ValueError with one sentence that says what is wrong and what would be right.
    """
    checkpoint = models.load(model)
    label = models.check_label(checkpoint, label)
    guidance = check_number(guidance, "The guidance", 0, MOST_GUIDANCE)
    check_choice(sampler, "The sampler", SAMPLERS)
    check_choice(spacing, "The spacing", SPACINGS)
    check_choice(variance, "The variance σ²", VARIANCES)
    check_choice(family, "The schedule", SCHEDULES)
    eta = check_number(eta, "η", 0, 1)
    T = None if family == TRAINED or T is None else check_integer(T, "T", 1, current().max_T)
    if family == CUSTOM:
        NoiseSchedule.from_points(points, T=1)  # raises for what are no points
    settings = RunSettings(
        model=model,
        label=label,
        guidance=guidance if label is not None else 1.0,
        seed=check_integer(seed, "The seed", 0, LARGEST_SEED),
        sampler=sampler,
        steps=check_integer(steps, "The number of steps", 1, MOST_STEPS),
        spacing=spacing,
        eta=eta if sampler == "ddim" else 0.0,
        variance=variance if sampler == "ddpm" else "posterior",
        family=family,
        T=T,
        points=tuple(map(tuple, points)) if family == CUSTOM else (),
        matched=bool(matched) if family != TRAINED else True,
        clip=bool(clip),
        picture=picture,
    )
    schedule = schedule_of(settings)  # raises for points that make none
    if settings.steps > schedule.T:
        raise ValueError(
            f"The number of steps must not exceed the schedule's T = {schedule.T}, "
            f"got {settings.steps}."
        )
    if picture is not None:
        at = check_integer(from_step, "The timestep to start from", 1, schedule.T)
        settings = replace(settings, from_step=at)
    return settings


@lru_cache(maxsize=64)
def _schedule(model: str, family: str, T: int | None, points: tuple) -> NoiseSchedule:
    own = models.load(model).schedule
    if family == TRAINED:
        return own
    # A T of one's own is short: its β then do the work of the usual thousand steps.
    return Recipe(family, T or own.T, rescale=T is not None, points=points or ()).build()


def schedule_of(settings: RunSettings) -> NoiseSchedule:
    """The schedule that a run walks."""
    return _schedule(settings.model, settings.family, settings.T, settings.points)


def timesteps_of(settings: RunSettings) -> Tensor:
    """The grid of a run; one that starts from a picture has what lies below its `from_step`."""
    grid = schedule_of(settings).timesteps(settings.steps, settings.spacing)
    if settings.from_step is None:
        return grid
    return torch.cat([torch.tensor([settings.from_step]), grid[grid < settings.from_step]])


def denoiser_of(
    settings: RunSettings, labels: Sequence[int] | None = None
) -> Denoiser | GuidedDenoiser:
    """The network with everything that the settings say about asking it; `labels` overrule."""
    label = settings.label if labels is None else torch.tensor(labels)
    checkpoint = models.load(settings.model)
    denoiser = checkpoint.denoiser(label, guidance=settings.guidance, clip=settings.clip)
    if settings.family != TRAINED:
        denoiser = denoiser.on(schedule_of(settings), matched=settings.matched)
    return shared(denoiser)


def walk(
    settings: RunSettings, seeds: Sequence[int], labels: Sequence[int] | None = None
) -> Iterator[Step]:
    """The run's steps for one image a seed, and a label where `labels` are given.

    The image of a seed is the one that a run of that seed alone comes to.
    """
    checkpoint = models.load(settings.model)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    # The start and the noise of the steps come from one stream: begun twice, they would be equal.
    x = noise_like(torch.empty(len(seeds), *checkpoint.shape), generators)
    if settings.picture is not None:
        x0 = settings.picture.as_input(checkpoint.shape).expand_as(x)
        x = q_sample(schedule_of(settings), x0, settings.from_step, x)
    return _sampler(settings, denoiser_of(settings, labels), x, timesteps_of(settings), generators)


def branch(settings: RunSettings, x: Tensor, index: int, seeds: Sequence[int]) -> Iterator[Step]:
    """Other ways to the end from x (C, H, W), where step `index` begins: one a seed.

    A sampler that draws no noise cannot branch; it then goes on as DDIM with η = 1.
    """
    if not settings.adds_noise:
        settings = replace(settings, sampler="ddim", eta=1.0)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    grid = timesteps_of(settings)[index:]
    x = x.expand(len(seeds), *x.shape)
    return _sampler(settings, denoiser_of(settings), x, grid, generators)


def _sampler(
    settings: RunSettings,
    denoiser: Denoise,
    x: Tensor,
    grid: Tensor,
    generators: Sequence[torch.Generator],
) -> Iterator[Step]:
    schedule, x = schedule_of(settings), models.there(x)
    match settings.sampler:
        case "ddpm":
            return ddpm(
                denoiser, schedule, x, grid, variance=settings.variance, generators=generators
            )
        case "ddim":
            return ddim(denoiser, schedule, x, grid, eta=settings.eta, generators=generators)
        case "heun":
            return heun(denoiser, schedule, x, grid)
        case _:
            return dpm_solver(denoiser, schedule, x, grid)


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run of one image, with N steps of which `kept` have pictures."""

    settings: RunSettings
    checkpoint: Checkpoint
    t: list[int]  # of each step
    t_next: list[int]
    kept: list[int]  # indices of steps, with the first and the last
    x: Tensor  # (kept, C, H, W) float32: x_t of the kept steps
    final: Tensor  # (C, H, W)
    # "x", "eps", "x0", "next", where noise is added "mean" and "z", and the formula's "term":
    lanes: dict[str, np.ndarray]  # uint8 (kept, H, W, C) each
    formula: Formula
    std_x: Tensor  # (N,) standard deviation of x_t's pixels
    std_eps: Tensor  # (N,) of ε_θ's
    distance: Tensor  # (N,) root mean square of x̂_0 − the final image

    def place_at(self, t: int) -> int:
        """Which of the kept steps is under way at t, as an index into `kept`."""
        return max(0, sum(self.t[index] >= t for index in self.kept) - 1)

    @property
    def nbytes(self) -> int:
        return self.x.nbytes + sum(lane.nbytes for lane in self.lanes.values())


RUNS: Once[RunSettings, Step, Run] = Once(LRU(current().run_cache << 20), lambda run: run.nbytes)
# (settings, seeds, labels) → the last images of these runs, (B, C, H, W)
ENDINGS: Once[tuple, Step, Tensor] = Once(LRU(current().run_cache << 19), lambda x: x.nbytes)


def endings(
    settings: RunSettings, seeds: Sequence[int], labels: Sequence[int] | None = None
) -> Generator[Step, None, Tensor]:
    """`walk`, yielding each step and returning where they end; at once if that is in the cache."""
    key = settings, tuple(seeds), None if labels is None else tuple(labels)
    return ENDINGS(key, lambda: ended(walk(settings, seeds, labels)))


def ended(steps: Iterator[Step]) -> Generator[Step, None, Tensor]:
    """All steps as they come, and where the last one leads, (B, C, H, W), as the result."""
    for step in steps:
        yield step
    return step.x_next.cpu()


def record(settings: RunSettings) -> Generator[Step, None, Run]:
    """Walk the run, yielding each step, and return all of it; at once if it is in the cache."""
    return RUNS(settings, lambda: _record(settings))


def _record(settings: RunSettings) -> Generator[Step, None, Run]:
    checkpoint, grid = models.load(settings.model), timesteps_of(settings)
    steps, pixels = len(grid) - 1, int(np.prod(checkpoint.shape))
    rule = formula(settings.sampler, schedule_of(settings), grid, settings.variance, settings.eta)
    lanes = 4 + 2 * settings.adds_noise + (rule.derived is not None)  # as many as _lanes gives
    most = max(2, MOST_BYTES // (pixels * lanes))
    kept = evenly(steps, most)
    wanted, tensors, beliefs, numbers = set(kept), {}, [], []
    for step in walk(settings, [settings.seed]):
        beliefs.append(step.prediction.x0[0])
        numbers.append(torch.stack([step.x.std(), step.prediction.eps.std()]))
        if step.index in wanted:
            for lane, tensor in _lanes(step, rule, settings.adds_noise).items():
                tensors.setdefault(lane, []).append(tensor[0])
        yield step
    # Here for the first time the device is waited for, unless somebody looked on.
    final = step.x_next[0].cpu()
    std_x, std_eps = torch.stack(numbers).cpu().double().T
    distance = (torch.stack(beliefs).cpu() - final).square().mean((1, 2, 3)).sqrt()
    x = torch.stack(tensors["x"]).cpu()
    lanes = {lane: to_pixels(torch.stack(images)) for lane, images in tensors.items()}
    t, t_next = grid[:-1].tolist(), grid[1:].tolist()
    return Run(
        settings, checkpoint, t, t_next, kept, x, final, lanes, rule, std_x, std_eps, distance
    )


def _lanes(step: Step, rule: Formula, adds_noise: bool) -> dict[str, Tensor]:
    """The pictures of one step, (1, C, H, W) each."""
    lanes = {"x": step.x, "eps": step.prediction.eps, "x0": step.prediction.x0}
    if adds_noise:  # z stands in the equation of a last step too, which adds none
        lanes["mean"] = step.mean
        lanes["z"] = torch.zeros_like(step.x) if step.z is None else step.z
    if rule.derived:
        lanes["term"] = rule.derived(step)
    lanes["next"] = step.x_next
    return lanes


def compute(settings: RunSettings) -> Run:
    """`record` without looking on."""
    return outcome(record(settings))
