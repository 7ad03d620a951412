"""The reverse process: from noise to an image, one frozen record a step.

    x_T = standard_noise(shape, seeds=range(4))
    for step in ddim(denoiser, schedule, x_T, schedule.timesteps(20)):
        ...                                     # step.x is x_t, step.prediction.x0 is x̂_0
    image = step.x_next

A sampler knows nothing of networks or of what they were trained to predict: it takes a `denoiser`,
any ``(x_t, t) → Prediction``, and a decreasing grid of timesteps, t → s for each two in a row:

    ddpm          x_s = μ̃(x_t, x̂_0) + σ z           ancestral; new noise in every step
    ddim          x_s = √ᾱ_s x̂_0 + … ε_θ + σ z      the same, with as much noise as one likes
    heun          two looks a step, the second to correct the first
    dpm_solver    one look a step, and the memory of the last

To start from a picture instead of noise, pass ``q_sample(schedule, x0, t, eps)`` and a grid that
begins at that t.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from model.denoiser import Prediction
from model.device import to_device
from model.schedule import NoiseSchedule

VARIANCES = ("posterior", "beta")

Denoise = Callable[[Tensor, int], Prediction]


@dataclass(frozen=True, eq=False)
class Step:
    """One step t → t_next of the reverse process; tensors are (B, C, H, W).

    x_next = mean + sigma · z, and no noise is added by the last step.
    """

    index: int  # 0, 1, … along the grid
    t: int
    t_next: int
    x: Tensor  # x_t
    prediction: Prediction
    mean: Tensor
    sigma: float
    z: Tensor | None  # None where sigma is 0: none was drawn
    x_next: Tensor


def standard_noise(shape: Sequence[int], seeds: Iterable[int]) -> Tensor:
    """Where sampling starts: x_T ~ N(0, I), (B, *shape), the same for a seed on every machine."""
    return torch.stack(
        [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )


def noise_like(x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """z ~ N(0, I) of the shape of x (B, …), each image from its own generator on the CPU.

    So an image depends on its seed, not on its batch or device.
    Raises ValueError if there is not one generator for each image.
    """
    if len(generators) != len(x):
        raise ValueError(f"one generator an image: got {len(generators)} for {len(x)} images")
    z = torch.empty(x.shape)
    for image, generator in zip(z, generators, strict=True):
        image.normal_(generator=generator)  # in place: half the time of a tensor for each
    return to_device(z.to(x.dtype), x.device)


def ddpm(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    x: Tensor,
    timesteps: Tensor,
    *,
    variance: str = "posterior",
    generators: Sequence[torch.Generator] | None = None,
    noises: Sequence[Tensor] | None = None,
) -> Iterator[Step]:
    """Ancestral sampling: x_s is drawn from q(x_s | x_t, x̂_0), or with a wider variance.

        α = ᾱ_t/ᾱ_s,  β = 1 − α                             (of one step: α_t and β_t)
        mean = √ᾱ_s β/(1−ᾱ_t) · x̂_0 + √α (1−ᾱ_s)/(1−ᾱ_t) · x_t = 1/√α · ( x_t − β/√(1−ᾱ_t) · ε_θ )
        x_s  = mean + σ z,   σ² = β̃ = β (1−ᾱ_s)/(1−ᾱ_t)  ("posterior")   or   σ² = β  ("beta")

    With every timestep this is algorithm 2 of Ho et al. 2020, with eqs. 7 and 11 and, for both
    variances, section 3.2. x: (B, C, H, W) at timesteps[0]. New noise comes from one generator an
    image, or from `noises`, one (B, C, H, W) a step; the last step, to t = 0, adds none.
    Raises ValueError for an unknown variance, a bad grid, or where noise is needed and not given.
    """
    if variance not in VARIANCES:
        raise ValueError(f"variance must be one of {', '.join(VARIANCES)}, got {variance!r}")
    _check_grid(schedule, timesteps)
    alpha_bars = schedule.alpha_bars.tolist()

    def rule(t: int, s: int, x: Tensor, prediction: Prediction) -> tuple[Tensor, float]:
        now, then = alpha_bars[t], alpha_bars[s]
        alpha = now / then
        beta, left = 1 - alpha, (1 - then) / (1 - now)
        of_x0, of_x = math.sqrt(then) * beta / (1 - now), math.sqrt(alpha) * left
        sigma2 = beta if variance == "beta" and s > 0 else beta * left
        return of_x0 * prediction.x0 + of_x * x, math.sqrt(sigma2)

    source = _source(generators, noises, len(timesteps) - 1)
    return _reverse(denoiser, x, timesteps, rule, source)


def ddim(
    denoiser: Denoise,
    schedule: NoiseSchedule,
    x: Tensor,
    timesteps: Tensor,
    *,
    eta: float = 0.0,
    generators: Sequence[torch.Generator] | None = None,
    noises: Sequence[Tensor] | None = None,
) -> Iterator[Step]:
    """Denoising diffusion implicit models: η = 0 adds no noise, η = 1 as much as `ddpm`.

        σ   = η √((1−ᾱ_s)/(1−ᾱ_t)) √(1 − ᾱ_t/ᾱ_s)
        x_s = √ᾱ_s x̂_0 + √(1−ᾱ_s−σ²) ε_θ + σ z

    Song, Meng & Ermon 2020, "Denoising Diffusion Implicit Models", eqs. 12 and 16. Arguments and
    noise as in `ddpm`. Raises ValueError for η outside [0, 1], a bad grid, or where noise is needed
    and not given.
    """
    if not 0 <= eta <= 1:  # NaN fails every comparison
        raise ValueError(f"eta must lie in [0, 1], got {eta}")
    _check_grid(schedule, timesteps)
    alpha_bars = schedule.alpha_bars.tolist()

    def rule(t: int, s: int, x: Tensor, prediction: Prediction) -> tuple[Tensor, float]:
        now, then = alpha_bars[t], alpha_bars[s]
        sigma = eta * math.sqrt((1 - then) / (1 - now) * (1 - now / then))
        of_eps = math.sqrt(max(0.0, 1 - then - sigma**2))
        return math.sqrt(then) * prediction.x0 + of_eps * prediction.eps, sigma

    source = _source(generators, noises, len(timesteps) - 1) if eta else None
    return _reverse(denoiser, x, timesteps, rule, source)


def heun(
    denoiser: Denoise, schedule: NoiseSchedule, x: Tensor, timesteps: Tensor
) -> Iterator[Step]:
    """Heun's method for the probability flow: a step of `ddim`, and a second look to correct it.

    With x̄ = x/√ᾱ and σ̄ = √((1−ᾱ)/ᾱ) the flow is dx̄/dσ̄ = ε_θ, `ddim` is Euler's method for it, and

        x̄_s = x̄_t + (σ̄_s − σ̄_t) · ( ε_θ(x_t, t) + ε_θ(x_s of ddim, s) )/2

    Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models",
    algorithm 1 without noise. Two evaluations a step, one in the last, where σ̄_s = 0; second order.
    Arguments and errors as in `ddpm`.
    """
    _check_grid(schedule, timesteps)
    signal, noise = schedule.signal.tolist(), schedule.noise.tolist()

    def rule(t: int, s: int, x: Tensor, prediction: Prediction) -> tuple[Tensor, float]:
        slope, shrink = prediction.eps, signal[s] / signal[t]
        change = noise[s] - noise[t] * shrink  # √ᾱ_s (σ̄_s − σ̄_t)
        if s > 0:
            slope = (slope + denoiser(shrink * x + change * slope, s).eps) / 2
        return shrink * x + change * slope, 0.0

    return _reverse(denoiser, x, timesteps, rule, None)


def dpm_solver(
    denoiser: Denoise, schedule: NoiseSchedule, x: Tensor, timesteps: Tensor
) -> Iterator[Step]:
    """DPM-Solver++(2M): the last two x̂_0 foretell how x̂_0 will move; second order.

        λ = log(√ᾱ/√(1−ᾱ)),   h = λ_s − λ_t,   r = h of the step before / h
        D   = (1 + 1/(2r)) x̂_0(x_t, t) − 1/(2r) x̂_0(of the step before)
        x_s = √(1−ᾱ_s)/√(1−ᾱ_t) · x_t − √ᾱ_s (e^(−h) − 1) · D

    Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic
    Models", algorithm 2. One evaluation a step; the first step, and the last where λ_s = ∞, take
    D = x̂_0, which makes them steps of `ddim`. Arguments and errors as in `ddpm`.
    """
    _check_grid(schedule, timesteps)
    signal, noise = schedule.signal.tolist(), schedule.noise.tolist()
    logs = (schedule.signal / schedule.noise).log().tolist()  # λ, ∞ at t = 0
    before: list[tuple[float, Tensor]] = []  # h and x̂_0 of the step before

    def rule(t: int, s: int, x: Tensor, prediction: Prediction) -> tuple[Tensor, float]:
        h, data = logs[s] - logs[t], prediction.x0
        if before and s > 0:
            past_h, past = before.pop()
            data = data + h / (2 * past_h) * (data - past)
        before[:] = [(h, prediction.x0)]
        return noise[s] / noise[t] * x - signal[s] * math.expm1(-h) * data, 0.0

    return _reverse(denoiser, x, timesteps, rule, None)


Rule = Callable[[int, int, Tensor, Prediction], tuple[Tensor, float]]  # t, s, … → mean and σ
Source = Callable[[int, Tensor], Tensor]  # index of the step, x → z


@torch.no_grad()
def _reverse(
    denoiser: Denoise, x: Tensor, timesteps: Tensor, rule: Rule, source: Source | None
) -> Iterator[Step]:
    """The loop that all samplers share."""
    for index, (t, s) in enumerate(pairwise(timesteps.tolist())):
        prediction = denoiser(x, t)
        mean, sigma = rule(t, s, x, prediction)
        z = source(index, x) if source is not None and sigma > 0 else None
        x_next = mean if z is None else mean + sigma * z
        yield Step(index, t, s, x, prediction, mean, sigma, z, x_next)
        x = x_next


def _source(
    generators: Sequence[torch.Generator] | None, noises: Sequence[Tensor] | None, steps: int
) -> Source:
    if noises is not None:
        if len(noises) < steps - 1:
            raise ValueError(f"{steps - 1} steps draw noise, and only {len(noises)} are given")
        return lambda index, x: to_device(noises[index].to(x.dtype), x.device)
    if generators is None:
        raise ValueError("each step draws noise: pass a generator for each image, or noises")
    return lambda index, x: noise_like(x, generators)


def _check_grid(schedule: NoiseSchedule, timesteps: Tensor) -> None:
    if timesteps.ndim != 1 or timesteps.is_floating_point() or len(timesteps) < 2:
        raise ValueError("timesteps must be a vector of at least two integers")
    if not bool((timesteps.diff() < 0).all()):
        raise ValueError("timesteps must decrease: sampling leads from noise to the image")
    if timesteps[0] > schedule.T or timesteps[-1] < 0:
        raise ValueError(
            f"timesteps must lie in 0 … {schedule.T}, "
            f"got {timesteps[0].item()} … {timesteps[-1].item()}"
        )
