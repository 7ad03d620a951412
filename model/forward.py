"""The forward process: from a clean image to noise, in one step or many.

    q(x_t | x_{t−1})      = N( √α_t x_{t−1},  β_t I )                 Ho et al. 2020, eq. 2
    q(x_t | x_0)          = N( √ᾱ_t x_0,  (1−ᾱ_t) I )                 eq. 4
    q(x_{t−1} | x_t, x_0) = N( μ̃_t(x_t, x_0),  β̃_t I )                eqs. 6 and 7

Noise is always an argument, ε ~ N(0, I) of x's shape: whoever calls decides where it comes from.
`t` is one timestep or one for each image, shape (B,). All functions raise ValueError for a t
outside the schedule.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.schedule import NoiseSchedule, broadcast_at


def q_step(schedule: NoiseSchedule, x_prev: Tensor, t: int | Tensor, eps: Tensor) -> Tensor:
    """One Markov step, t = 1 … T: x_t = √α_t x_{t−1} + √β_t ε (Ho et al. 2020, eq. 2).

    x_prev and eps: (B, …); returns x_t of the same shape.
    """
    _require_step(t)
    keep, add = schedule.step_signal, schedule.step_noise
    return broadcast_at(keep, t, x_prev) * x_prev + broadcast_at(add, t, x_prev) * eps


def q_sample(schedule: NoiseSchedule, x0: Tensor, t: int | Tensor, eps: Tensor) -> Tensor:
    """The jump from 0 to t = 0 … T: x_t = √ᾱ_t x_0 + √(1−ᾱ_t) ε (Ho et al. 2020, eq. 4).

    x0 and eps: (B, …), x0 in [−1, 1]; returns x_t of the same shape, which is x0 at t = 0.
    """
    return broadcast_at(schedule.signal, t, x0) * x0 + broadcast_at(schedule.noise, t, x0) * eps


def q_posterior(
    schedule: NoiseSchedule, x0: Tensor, x_t: Tensor, t: int | Tensor
) -> tuple[Tensor, Tensor]:
    """Where x_{t−1} was, given x_t and x_0, t = 1 … T: the mean μ̃_t and the variance β̃_t.

        μ̃_t = √ᾱ_{t−1} β_t/(1−ᾱ_t) · x_0 + √α_t (1−ᾱ_{t−1})/(1−ᾱ_t) · x_t

    Ho et al. 2020, eqs. 6 and 7. x0 and x_t: (B, …). Returns the mean, of that shape, and the
    variance as a factor that broadcasts over it, shape (B, 1, …) or ().
    """
    _require_step(t)
    of_x0, of_xt = schedule.posterior_factors
    mean = broadcast_at(of_x0, t, x0) * x0 + broadcast_at(of_xt, t, x_t) * x_t
    return mean, broadcast_at(schedule.posterior_variance, t, x_t)


def merge_noise(
    schedule: NoiseSchedule, merged_prev: Tensor, t: int | Tensor, eps: Tensor
) -> Tensor:
    """Fold step t's noise into the one noise of the jump, t = 1 … T.

    If x_{t−1} = q_sample(x_0, t−1, merged_prev), then q_step(x_{t−1}, t, eps) equals
    q_sample(x_0, t, merged) with the noise returned here: two independent Gaussian steps are one,

        √α_t √(1−ᾱ_{t−1}) ε̄_{t−1} + √β_t ε = √( α_t (1−ᾱ_{t−1}) + β_t ) ε̄_t = √(1−ᾱ_t) ε̄_t,

    which is the induction behind eq. 4 of Ho et al. 2020. At t = 1 `merged_prev` has no weight.
    merged_prev and eps: (B, …); returns ε̄_t ~ N(0, I) of the same shape.
    """
    _require_step(t)
    of_prev, of_eps = schedule.merge_factors
    return broadcast_at(of_prev, t, eps) * merged_prev + broadcast_at(of_eps, t, eps) * eps


def _require_step(t: int | Tensor) -> None:
    if (t < 1) if isinstance(t, int) else (torch.as_tensor(t) < 1).any():
        raise ValueError(f"a step leads from t−1 to t, so t must be at least 1, got {t}")
