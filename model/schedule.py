"""The noise schedule: how much signal and how much noise each timestep holds.

A diffusion model's forward process is a Markov chain that replaces a little of the image by
Gaussian noise at each of T steps,

    q(x_t | x_{t-1}) = N( √(1−β_t) x_{t-1},  β_t I ),          (Ho et al. 2020, eq. 2)

and everything else about it follows from the β_t. This module is their only home. The notation,
here and everywhere in the project:

| in the papers  | in the code                 | meaning                                     |
| -------------- | --------------------------- | ------------------------------------------- |
| T              | ``schedule.T``              | number of steps of the schedule             |
| t              | ``t``                       | timestep 0 … T, where t = 0 is the clean x_0 |
| β_t            | ``betas``                   | variance added by step t, β_0 = 0           |
| α_t            | ``alphas``                  | 1 − β_t                                     |
| ᾱ_t            | ``alpha_bars``              | α_1 ⋯ α_t, ᾱ_0 = 1                          |
| √ᾱ_t, √(1−ᾱ_t) | ``signal, noise``           | factors of q(x_t given x_0): mean, std      |
| ᾱ_t / (1−ᾱ_t)  | ``snr``                     | signal-to-noise ratio, infinite at t = 0    |
| ε, ε_θ         | ``eps``                     | true and predicted noise                    |
| x̂_0            | ``x0`` of a prediction      | predicted clean image                       |
| z              | ``z``                       | fresh noise added by a reverse step         |
| σ_t            | ``sigma``                   | its scale                                   |
| β̃_t            | ``posterior_variance``      | variance of q(x_{t-1} given x_t, x_0)       |

Indexing is the papers' own: libraries that count 0 … T−1 are off by one from us, so that our
``alpha_bars[t]`` is their ``alphas_cumprod[t - 1]``.

Sources: Ho, Jain & Abbeel 2020, "Denoising Diffusion Probabilistic Models"; Nichol & Dhariwal
2021, "Improved Denoising Diffusion Probabilistic Models"; Rombach et al. 2022, "High-Resolution
Image Synthesis with Latent Diffusion Models"; Xu et al. 2022, "GeoDiff" (sigmoid).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from model.checks import as_integer, check_beta_range, check_each, check_T, float64_vector
from model.device import to_device

SPACINGS = ("trailing", "leading", "linspace", "quadratic")


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """An immutable noise schedule; build one with the class methods, not the constructor.

    Every tensor is float64 of shape (T+1,), indexed by t = 0 … T. They are shared, not copied:
    treat them as read-only.
    """

    betas: Tensor = field(repr=False)
    alpha_bars: Tensor = field(repr=False)
    name: str = "schedule"

    # -- how to build one ----------------------------------------------------------------------

    @classmethod
    def linear(
        cls,
        T: int = 1000,
        beta_start: float = 1e-4,
        beta_end: float = 0.02,
        *,
        rescale: bool = False,
    ) -> NoiseSchedule:
        """β_t evenly spaced from `beta_start` to `beta_end` (Ho et al. 2020, section 4).

        The defaults were made for T = 1000; a shorter schedule with the same β never reaches
        noise (T = 50 ends at ᾱ_T = 0.60). `rescale` lets each step do the work of 1000/T steps,
        α_t ← α_t^(1000/T), so that ᾱ_T hardly depends on T. To first order that is the familiar
        β_t · 1000/T, which leaves (0, 1) for T ≤ 20 where this form cannot.

        Raises ValueError if T is not an integer of 1 … 1,000,000, or not 0 < β_start ≤ β_end < 1.
        """
        T = check_T(T)
        check_beta_range(beta_start, beta_end)
        betas = torch.linspace(beta_start, beta_end, T, dtype=torch.float64)
        return cls.from_betas(_rescaled(betas) if rescale else betas, name="linear")

    @classmethod
    def scaled_linear(
        cls,
        T: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        *,
        rescale: bool = False,
    ) -> NoiseSchedule:
        """√β_t evenly spaced (Rombach et al. 2022, the schedule of latent diffusion).

        `rescale` and errors as in `linear`.
        """
        T = check_T(T)
        check_beta_range(beta_start, beta_end)
        roots = torch.linspace(beta_start**0.5, beta_end**0.5, T, dtype=torch.float64)
        return cls.from_betas(_rescaled(roots**2) if rescale else roots**2, name="scaled linear")

    @classmethod
    def cosine(cls, T: int = 1000, s: float = 0.008, beta_max: float = 0.999) -> NoiseSchedule:
        """ᾱ_t = f(t)/f(0) with f(t) = cos²( (t/T + s)/(1 + s) · π/2 ), β_t ≤ `beta_max`.

        Nichol & Dhariwal 2021, eq. 17; the clipping keeps β_T, which would be 1, below it.
        Raises ValueError if T is out of range, s < 0 or not finite, or β_max not in (0, 1).
        """
        T = check_T(T)
        if not (math.isfinite(s) and s >= 0):
            raise ValueError(f"s must be a finite number of at least 0, got {s}")
        if not 0 < beta_max < 1:
            raise ValueError(f"beta_max must lie in (0, 1), got {beta_max}")
        u = torch.arange(T + 1, dtype=torch.float64) / T
        f = torch.cos((u + s) / (1 + s) * (math.pi / 2)) ** 2
        return cls.from_betas((1 - f[1:] / f[:-1]).clamp(max=beta_max), name="cosine")

    @classmethod
    def sigmoid(
        cls,
        T: int = 1000,
        beta_start: float = 1e-4,
        beta_end: float = 0.02,
        *,
        rescale: bool = False,
    ) -> NoiseSchedule:
        """β_t = β_start + (β_end − β_start) · sigmoid(u_t), u_t evenly spaced from −6 to 6.

        The schedule of GeoDiff (Xu et al. 2022). `rescale` and errors as in `linear`.
        """
        T = check_T(T)
        check_beta_range(beta_start, beta_end)
        u = torch.linspace(-6, 6, T, dtype=torch.float64)
        betas = beta_start + (beta_end - beta_start) * torch.sigmoid(u)
        return cls.from_betas(_rescaled(betas) if rescale else betas, name="sigmoid")

    @classmethod
    def from_betas(cls, betas: Tensor | Sequence[float], name: str = "from betas") -> NoiseSchedule:
        """A schedule from β_1 … β_T, shape (T,), each in (0, 1).

        Raises ValueError with the first offending β, or if ᾱ_t underflows to zero.
        """
        betas = float64_vector(betas, "betas")
        check_each(betas, (betas > 0) & (betas < 1), "beta", "must lie in (0, 1)", first_t=1)
        betas = torch.cat([betas.new_zeros(1), betas])
        alpha_bars = torch.cumprod(1 - betas, dim=0)
        check_each(alpha_bars, alpha_bars > 0, "alpha_bar", "underflows to zero: use smaller betas")
        return cls(betas=betas, alpha_bars=alpha_bars, name=name)

    @classmethod
    def from_alpha_bars(
        cls, alpha_bars: Tensor | Sequence[float], name: str = "from alpha_bars"
    ) -> NoiseSchedule:
        """A schedule from ᾱ_0 … ᾱ_T, shape (T+1,): ᾱ_0 = 1, strictly decreasing, all positive.

        Raises ValueError with the first ᾱ that breaks one of these.
        """
        alpha_bars = float64_vector(alpha_bars, "alpha_bars")
        if len(alpha_bars) < 2:
            raise ValueError("alpha_bars must hold at least two values, ᾱ_0 = 1 and ᾱ_1")
        if alpha_bars[0] != 1:
            raise ValueError(f"alpha_bars must start at ᾱ_0 = 1, got {alpha_bars[0].item()}")
        check_each(alpha_bars, alpha_bars > 0, "alpha_bar", "must lie in (0, 1]")
        falls = torch.cat([alpha_bars.new_ones(1).bool(), alpha_bars.diff() < 0])
        check_each(alpha_bars, falls, "alpha_bar", "must be smaller than the one before it")
        betas = torch.cat([alpha_bars.new_zeros(1), 1 - alpha_bars[1:] / alpha_bars[:-1]])
        return cls(betas=betas, alpha_bars=alpha_bars, name=name)

    @classmethod
    def from_points(
        cls, points: Sequence[tuple[float, float]], T: int = 1000, name: str = "custom"
    ) -> NoiseSchedule:
        """A schedule drawn by hand: ᾱ(t/T) through control points (t/T, ᾱ).

        The points run from (0, 1) to t/T = 1, t/T strictly rising and ᾱ strictly falling within
        (0, 1]. Between them stands a monotone cubic (PCHIP; Fritsch & Carlson 1980), which never
        overshoots, so that the result always is a schedule.

        Raises ValueError if T is out of range or the points break one of these rules.
        """
        T = check_T(T)
        try:
            grid = np.asarray(points, dtype=np.float64)
        except (TypeError, ValueError):  # ragged, or no numbers
            grid = np.empty(0)
        if grid.ndim != 2 or grid.shape[1] != 2 or len(grid) < 2:
            raise ValueError("points must be at least two pairs (t/T, alpha_bar)")
        u, alpha_bars = grid.T
        if not np.isfinite(grid).all():
            raise ValueError("points must be finite numbers, got NaN or infinity")
        if u[0] != 0 or u[-1] != 1 or (np.diff(u) <= 0).any():
            raise ValueError(f"t/T of the points must rise strictly from 0 to 1, got {u.tolist()}")
        if alpha_bars[0] != 1 or alpha_bars[-1] <= 0 or (np.diff(alpha_bars) >= 0).any():
            raise ValueError(
                "alpha_bar of the points must fall strictly from 1 and stay above 0, "
                f"got {alpha_bars.tolist()}"
            )
        from scipy.interpolate import PchipInterpolator  # here: 0.7 s to import, for this alone

        curve = PchipInterpolator(u, alpha_bars)(np.arange(T + 1) / T)
        return cls.from_alpha_bars(torch.from_numpy(curve), name=name)

    # -- what follows from β -------------------------------------------------------------------

    @property
    def T(self) -> int:
        """Number of steps."""
        return len(self.betas) - 1

    @cached_property
    def alphas(self) -> Tensor:
        """α_t = 1 − β_t."""
        return 1 - self.betas

    @cached_property
    def signal(self) -> Tensor:
        """√ᾱ_t: what remains of x_0 in x_t (Ho et al. 2020, eq. 4)."""
        return self.alpha_bars.sqrt()

    @cached_property
    def noise(self) -> Tensor:
        """√(1−ᾱ_t): the standard deviation of the noise in x_t (Ho et al. 2020, eq. 4)."""
        return (1 - self.alpha_bars).sqrt()

    @cached_property
    def snr(self) -> Tensor:
        """ᾱ_t/(1−ᾱ_t), the ratio of the powers of signal and noise; infinite at t = 0."""
        return self.alpha_bars / (1 - self.alpha_bars)

    @cached_property
    def posterior_variance(self) -> Tensor:
        """β̃_t = (1−ᾱ_{t−1})/(1−ᾱ_t) · β_t (Ho et al. 2020, eq. 7); 0 at t = 0 and t = 1."""
        variance = torch.zeros_like(self.betas)
        rest = 1 - self.alpha_bars
        variance[1:] = rest[:-1] / rest[1:] * self.betas[1:]
        return variance

    @cached_property
    def step_signal(self) -> Tensor:
        """√α_t: what one step keeps of x_{t−1} (Ho et al. 2020, eq. 2)."""
        return self.alphas.sqrt()

    @cached_property
    def step_noise(self) -> Tensor:
        """√β_t: the standard deviation of the noise that one step adds (eq. 2)."""
        return self.betas.sqrt()

    @cached_property
    def posterior_factors(self) -> tuple[Tensor, Tensor]:
        """What x_0 and x_t weigh in the mean of q(x_{t−1} given x_t, x_0) (eq. 7); 0 at t = 0."""
        of_x0, of_xt = torch.zeros_like(self.betas), torch.zeros_like(self.betas)
        rest = 1 - self.alpha_bars
        of_x0[1:] = self.signal[:-1] * self.betas[1:] / rest[1:]
        of_xt[1:] = self.step_signal[1:] * rest[:-1] / rest[1:]
        return of_x0, of_xt

    @cached_property
    def merge_factors(self) -> tuple[Tensor, Tensor]:
        """What the noise up to t−1 and step t's own weigh in the one noise of the jump to t.

        √α_t √(1−ᾱ_{t−1}) / √(1−ᾱ_t) and √β_t / √(1−ᾱ_t): their squares add up to 1. 0 at t = 0.
        """
        of_prev, of_eps = torch.zeros_like(self.betas), torch.zeros_like(self.betas)
        of_prev[1:] = self.step_signal[1:] * self.noise[:-1] / self.noise[1:]
        of_eps[1:] = self.step_noise[1:] / self.noise[1:]
        return of_prev, of_eps

    @cached_property
    def unscaled_noise(self) -> Tensor:
        """√(β_1 + … + β_t): the noise's standard deviation if √(1−β_t) is left out of each step.

        That chain, x_t = x_{t−1} + √β_t ε, is a random walk: its variance grows without bound
        instead of settling at 1. No model here uses it; it shows what the factor is for.
        """
        return self.betas.cumsum(0).sqrt()

    # -- walking it ----------------------------------------------------------------------------

    def timesteps(self, n: int, spacing: str = "trailing") -> Tensor:
        """A decreasing grid of n + 1 timesteps, so n steps, that ends at 0: int64, shape (n+1,).

        * ``trailing``: T, T − T/n, …, rounded. Starts at the noisiest t.
        * ``leading``: every ⌊T/n⌋-th step counted from t = 1. Starts below T (Lin et al. 2024,
          "Common Diffusion Noise Schedules and Sample Steps are Flawed", table 2).
        * ``linspace``: evenly spaced from T to 1, rounded.
        * ``quadratic``: T · (i/n)², denser towards t = 0 (Song et al. 2021, DDIM, appendix D.2,
          with the constant chosen such that the first is T).

        Raises ValueError if n is not in 1 … T or the spacing is unknown.
        """
        n = as_integer(n, "n")
        if not 1 <= n <= self.T:
            raise ValueError(f"the number of steps must be in 1 … {self.T}, got {n}")
        if spacing not in SPACINGS:
            raise ValueError(f"spacing must be one of {', '.join(SPACINGS)}, got {spacing!r}")
        i = torch.arange(n, 0, -1)
        match spacing:
            case "trailing":
                grid = (i.double() * self.T / n).round().long()
            case "leading":
                grid = (i - 1) * (self.T // n) + 1
            case "linspace":
                grid = torch.linspace(self.T - 1, 0, n, dtype=torch.float64).round().long() + 1
            case "quadratic":
                # Near zero the parabola is flatter than one step a step: fall back to t = i there.
                grid = torch.maximum((self.T * (i.double() / n) ** 2).round().long(), i)
        return torch.cat([grid, grid.new_zeros(1)])

    def at_alpha_bar(self, value: float | Tensor) -> Tensor:
        """The fractional t at which this schedule's ᾱ is `value`; float64, the shape of `value`.

        So is a network that was trained on one schedule told its own t while it is sampled on
        another. Between timesteps log ᾱ is taken as linear (β constant within a step). A value
        below ᾱ_T has no t; it gives T, the noisiest that this schedule knows.

        Raises ValueError for values outside (0, 1].
        """
        value = torch.as_tensor(value, dtype=torch.float64).cpu()
        valid = (value > 0) & (value <= 1)
        if not valid.all():
            raise ValueError(f"alpha_bar must lie in (0, 1], got {value[~valid].flatten()[0]}")
        fall = -self.alpha_bars.log()  # (T+1,), rises strictly from 0
        wanted = -value.log()
        after = torch.searchsorted(fall, wanted.contiguous()).clamp(1, self.T)
        before = after - 1
        fraction = (wanted - fall[before]) / (fall[after] - fall[before])
        return before + fraction.clamp(0, 1)


def broadcast_at(values: Tensor, t: int | Tensor, x: Tensor) -> Tensor:
    """``values[t]`` as a factor for x (B, ...): x's dtype, shape (B, 1, …) on x's device, or ().

    One without dimensions stays on the CPU: it multiplies x on any device without a copy. `t` is
    one timestep or one for each image of the batch, shape (B,), best on the CPU, as `values` are:
    from a GPU it would have to be waited for.
    Raises ValueError if t does not fit the batch or lies outside the table.
    """
    if isinstance(t, int) and not isinstance(t, bool):  # the common case, without tensor overhead
        if not 0 <= t < len(values):
            raise ValueError(f"t must be in 0 … {len(values) - 1}, got {t}")
        return values[t].to(x.dtype)
    t = torch.as_tensor(t)
    if t.is_floating_point() or t.is_complex() or t.dtype == torch.bool:
        raise ValueError(f"t must be an integer timestep, got {t.dtype}")
    if t.ndim > 1 or (t.ndim == 1 and len(t) not in (1, len(x))):
        raise ValueError(
            f"t must be one timestep or one for each of {len(x)} images, got shape {tuple(t.shape)}"
        )
    if (t < 0).any() or (t >= len(values)).any():
        raise ValueError(f"t must be in 0 … {len(values) - 1}, got {t.tolist()}")
    factor = values[t.to(values.device)].to(x.dtype)  # here, as MPS has no float64
    if not t.ndim:
        return factor
    return to_device(factor, x.device).view(-1, *[1] * (x.ndim - 1))


def _rescaled(betas: Tensor) -> Tensor:
    """Each of the T steps does the work of 1000/T: log α adds up along the chain, so scale it."""
    return -torch.expm1(torch.log1p(-betas) * (1000 / len(betas)))


# What a user can choose by name; each takes T, the rest has the papers' defaults.
FAMILIES: dict[str, Callable[..., NoiseSchedule]] = {
    "linear": NoiseSchedule.linear,
    "scaled linear": NoiseSchedule.scaled_linear,
    "cosine": NoiseSchedule.cosine,
    "sigmoid": NoiseSchedule.sigmoid,
}
