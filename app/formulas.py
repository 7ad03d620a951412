"""The reverse step of each sampler as an image equation: which pictures, times which numbers.

The very formulas of `model.sampler`, with ᾱ_t, ᾱ_s of a step t → s. Pictures are named by lane:
"next" x_s, "x" x_t, "eps" ε_θ, "x0" x̂_0, "z" z, and "term" for what a sampler makes of several
predictions. Put together they give the step's own x_next; a test does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.sampler import Step
from model.schedule import NoiseSchedule

Token = dict[str, str]


@dataclass(frozen=True, eq=False)
class Formula:
    """One sampler's equation along a grid of N steps."""

    text: str  # in symbols
    groups: Sequence[Sequence[Token]]  # what must not be broken apart by the end of a line
    factors: dict[str, Tensor]  # name → (N,) float64
    sigma: Tensor = field(default_factory=lambda: torch.zeros(1))  # (N,), 0 where none is added
    derived: Callable[[Step], Tensor] | None = None  # the picture "term" of a step, (B, C, H, W)


def formula(
    sampler: str, schedule: NoiseSchedule, grid: Tensor, variance: str, eta: float
) -> Formula:
    """The equation of "ddpm", "ddim", "heun" or "dpm_solver" along `grid`, (N+1,)."""
    t, s = grid[:-1], grid[1:]
    # With every timestep s is t − 1, and α_t and β_t are the schedule's own.
    before = "t−1" if bool((t - s == 1).all()) else "s"
    now, then = schedule.alpha_bars[t], schedule.alpha_bars[s]
    match sampler:
        case "ddpm":
            return _ddpm(now, then, before, variance)
        case "ddim":
            return _ddim(now, then, before, eta)
        case "heun":
            return _heun(now, then, before)
        case _:
            return _dpm_solver(now, then, before)


def _picture(lane: str, symbol: str, hint: str, role: str = "") -> Token:
    return {"picture": lane, "symbol": symbol, "hint": hint, "role": role}


def _factor(name: str, symbol: str, hint: str, role: str = "") -> Token:
    return {"factor": name, "symbol": symbol, "hint": hint, "role": role}


def _text(text: str) -> Token:
    return {"text": text}


def _next(before: str) -> list[Token]:
    return [_picture("next", f"x_{{{before}}}", "the image after this step"), _text("=")]


X_T = _picture("x", "x_t", "the image before this step, which the network sees")
EPS = _picture("eps", "ε_θ", "all the noise that the network believes to be in x_t", "belief")
X0 = _picture("x0", "x̂_0", "the clean image that the network believes in", "belief")
Z = _picture("z", "z", "fresh noise; the last step adds none", "fresh")
SIGMA = _factor("sigma", "σ_t", "how much fresh noise this step adds", "fresh")


def _ddpm(now: Tensor, then: Tensor, before: str, variance: str) -> Formula:
    alpha = now / then
    beta, left = 1 - alpha, (1 - then) / (1 - now)
    sigma = (beta if variance == "beta" else beta * left).sqrt()
    sigma[then == 1] = 0  # the last step
    outer = _factor("outer", "1/√α_t", "undoes the shrinking of the forward step")
    inner = _factor(
        "inner", "β_t/√(1−ᾱ_t)", "the share of the noise that is taken away now", "belief"
    )
    return Formula(
        f"x_{{{before}}} = 1/√α_t · ( x_t − β_t/√(1−ᾱ_t) · ε_θ ) + σ_t · z",
        [
            _next(before),
            [outer, _text("·"), _text("("), X_T, _text("−")],
            [inner, _text("·"), EPS, _text(")")],
            [_text("+"), SIGMA, _text("·"), Z],
        ],
        {"outer": alpha.rsqrt(), "inner": beta / (1 - now).sqrt(), "sigma": sigma},
        sigma,
    )


def _ddim(now: Tensor, then: Tensor, before: str, eta: float) -> Formula:
    sigma = eta * ((1 - then) / (1 - now) * (1 - now / then)).sqrt()
    groups = [
        _next(before),
        [
            _factor("x0", f"√ᾱ_{{{before}}}", "the share of the image at the next timestep"),
            _text("·"),
            X0,
        ],
        [
            _text("+"),
            _factor(
                "eps",
                f"√(1−ᾱ_{{{before}}}−σ²)" if eta else f"√(1−ᾱ_{{{before}}})",
                "the share of the noise at the next timestep",
                "belief",
            ),
            _text("·"),
            EPS,
        ],
    ]
    text = f"x_{{{before}}} = √ᾱ_{{{before}}} · x̂_0 + √(1−ᾱ_{{{before}}}) · ε_θ"
    if eta:
        groups.append([_text("+"), SIGMA, _text("·"), Z])
        text = f"x_{{{before}}} = √ᾱ_{{{before}}} · x̂_0 + √(1−ᾱ_{{{before}}}−σ_t²) · ε_θ + σ_t · z"
    of_eps = (1 - then - sigma**2).clamp(min=0).sqrt()
    factors = {"x0": then.sqrt(), "eps": of_eps} | ({"sigma": sigma} if eta else {})
    return Formula(text, groups, factors, sigma)


def _heun(now: Tensor, then: Tensor, before: str) -> Formula:
    shrink = (then / now).sqrt()
    change = (1 - then).sqrt() - (1 - now).sqrt() * shrink  # negative: noise goes
    mean = _picture(
        "term", "ε̄_θ", "the mean of two predictions, one at either end of the step", "belief"
    )

    def slope(step: Step) -> Tensor:
        return (step.mean - shrink[step.index].item() * step.x) / change[step.index].item()

    return Formula(
        f"x_{{{before}}} = √ᾱ_{{{before}}}/√ᾱ_t · x_t − √ᾱ_{{{before}}} (σ̄_t − σ̄_{{{before}}})"
        f" · ε̄_θ,   σ̄ = √((1−ᾱ)/ᾱ)",
        [
            _next(before),
            [
                _factor("x", f"√ᾱ_{{{before}}}/√ᾱ_t", "enlarges what is left of the image"),
                _text("·"),
                X_T,
            ],
            [
                _text("−"),
                _factor(
                    "term",
                    f"√ᾱ_{{{before}}} (σ̄_t − σ̄_{{{before}}})",
                    "the noise that goes in this step",
                    "belief",
                ),
                _text("·"),
                mean,
            ],
        ],
        {"x": shrink, "term": -change},
        derived=slope,
    )


def _dpm_solver(now: Tensor, then: Tensor, before: str) -> Formula:
    of_x = ((1 - then) / (1 - now)).sqrt()
    # e^(−h) with h = λ_s − λ_t, so e^(−h) = √(snr_t/snr_s); 0 in the last step, where λ is ∞.
    of_data = then.sqrt() * (1 - (now / (1 - now) * (1 - then) / then).sqrt())
    ahead = _picture(
        "term", "D", "x̂_0 carried on along the line through its last two values", "belief"
    )

    def data(step: Step) -> Tensor:
        return (step.mean - of_x[step.index].item() * step.x) / of_data[step.index].item()

    return Formula(
        f"x_{{{before}}} = √(1−ᾱ_{{{before}}})/√(1−ᾱ_t) · x_t + √ᾱ_{{{before}}} (1 − e^{{−h}}) · D",
        [
            _next(before),
            [
                _factor("x", f"√(1−ᾱ_{{{before}}})/√(1−ᾱ_t)", "what stays of x_t: ever less noise"),
                _text("·"),
                X_T,
            ],
            [
                _text("+"),
                _factor(
                    "term",
                    f"√ᾱ_{{{before}}} (1 − e^{{−h}})",
                    "what comes in of the image",
                    "belief",
                ),
                _text("·"),
                ahead,
            ],
        ],
        {"x": of_x, "term": of_data},
        derived=data,
    )


def plain_difference() -> Formula:
    """All of the predicted noise taken away as it is: the picture "plain"."""
    plain = _picture("plain", "x_t − ε_θ", "all the predicted noise taken away, unscaled", "belief")
    return Formula("x_t − ε_θ", [[plain, _text("=")], [X_T], [_text("−"), EPS]], {})


def scaled_difference(schedule: NoiseSchedule, t: Tensor) -> Formula:
    """All of it taken away to scale, which is x̂_0 (Ho et al. 2020, eq. 15), at t, (N,)."""
    outer = _factor("outer", "1/√ᾱ_t", "brings what is left of the image back to its full size")
    inner = _factor("inner", "√(1−ᾱ_t)", "how much noise there is in x_t", "belief")
    return Formula(
        "x̂_0 = 1/√ᾱ_t · ( x_t − √(1−ᾱ_t) · ε_θ )",
        [
            [X0, _text("=")],
            [outer, _text("·"), _text("("), X_T, _text("−")],
            [inner, _text("·"), EPS, _text(")")],
        ],
        {"outer": schedule.signal[t].reciprocal(), "inner": schedule.noise[t]},
    )
