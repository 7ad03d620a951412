"""The numbers behind the Forward tab's panels: single steps, and what the scaling is for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from app.cache import LRU
from app.pictures import noise_urls
from model.forward import merge_noise, q_sample, q_step
from model.schedule import NoiseSchedule

EVERY = 50  # steps of a chain between two places that are remembered
Place = tuple[Tensor, Tensor, Tensor]  # x_t, all noises so far merged, the generator's state
CHAINS: LRU[tuple, dict[int, Place]] = LRU(64 << 20)


@dataclass(frozen=True)
class Walk:
    """The Markov chain up to t beside two jumps there; all tensors (C, H, W)."""

    t: int
    x0: Tensor
    x_prev: Tensor  # x_{t−1}, after t − 1 single steps
    eps_t: Tensor  # the noise of the last step
    x_t: Tensor  # after t single steps
    eps: Tensor  # one independent noise …
    jump: Tensor  # … and the jump with it
    merged: Tensor  # all the chain's noises folded into one …
    same: Tensor  # … and the jump with that: x_t again


def walk(schedule: NoiseSchedule, x0: Tensor, t: int, eps: Tensor, seed: int) -> Walk:
    """Walk from x_0 to x_t, t = 1 … T, one step at a time, each with fresh noise from `seed`.

    In float64, so that what differs between the chain and the jump is rounding, and small. A chain
    that was walked before is taken up again at its last place before t.
    """
    x0, eps = x0.double(), eps.double()
    places = _places_of(schedule, x0, seed)
    begun = (t - 1) // EVERY * EVERY
    while begun not in places:
        begun -= EVERY
    x_t, merged, state = places[begun]
    generator = torch.Generator()
    generator.set_state(state)
    x_prev, eps_t = x_t, torch.zeros_like(x0)
    for step in range(begun + 1, t + 1):
        eps_t = torch.randn(x0.shape, generator=generator).double()
        x_prev, x_t = x_t, q_step(schedule, x_t, step, eps_t)
        merged = merge_noise(schedule, merged, step, eps_t)
        if step % EVERY == 0:
            places[step] = x_t, merged, generator.get_state()
    jump, same = q_sample(schedule, x0, t, eps), q_sample(schedule, x0, t, merged)
    return Walk(t, x0, x_prev, eps_t, x_t, eps, jump, merged, same)


def _places_of(schedule: NoiseSchedule, x0: Tensor, seed: int) -> dict[int, Place]:
    """Where a chain stood after 0, EVERY, 2 · EVERY … steps, as far as it was walked."""
    key = schedule.betas.numpy().tobytes(), x0.numpy().tobytes(), seed

    def begun() -> dict[int, Place]:
        return {0: (x0, torch.zeros_like(x0), torch.Generator().manual_seed(seed).get_state())}

    return CHAINS.known(key, begun, lambda _: 2 * x0.nbytes * (schedule.T // EVERY + 1))


def walk_rows(schedule: NoiseSchedule, w: Walk) -> list[dict]:
    """The three image equations of `Equations`: the last step, the jump, the merged jump."""
    t = w.t
    alpha, beta = schedule.alphas[t].item(), schedule.betas[t].item()
    before = schedule.alpha_bars[t - 1].item()
    signal, noise = schedule.signal[t].item(), schedule.noise[t].item()

    names = ("x0", "x_prev", "eps_t", "x_t", "eps", "jump", "merged", "same")
    urls = noise_urls(torch.stack([getattr(w, name) for name in names]))
    image_of = dict(zip(names, urls, strict=True))

    def image(name: str, symbol: str, hint: str, role: str = "") -> dict:
        return {"image": image_of[name], "symbol": symbol, "hint": hint, "role": role}

    def equation(left: dict, a: float, x: dict, b: float, eps: dict) -> list[dict]:
        # A screen reader and a colour-blind eye get the symbol too; colour only repeats it.
        return [
            left,
            {"text": "="},
            {"text": f"{a:.4f} ·"},
            x,
            {"text": "+"},
            {"text": f"{b:.4f} ·", "role": "noise"},
            eps,
        ]

    def moments(x: Tensor) -> str:
        return f"mean {_signed(x.mean().item())}, standard deviation {x.std().item():.3f}"

    start = image("x0", "x_0", "the picture", "signal")
    return [
        {
            "title": f"One Markov step, from t = {t - 1} to t = {t}",
            "terms": equation(
                image("x_t", "x_t", f"the chain after {t} steps"),
                alpha**0.5,
                image("x_prev", "x_{t−1}", f"the chain after {t - 1} steps"),
                beta**0.5,
                image("eps_t", "ε_t", "this step's own noise", "noise"),
            ),
            "note": f"After all {t} steps: {moments(w.x_t)}.",
        },
        {
            "title": f"The jump from 0 to t = {t}, with its own noise",
            "terms": equation(
                image("jump", "x_t", "the jump"),
                signal,
                start,
                noise,
                image("eps", "ε", "one noise, drawn on its own", "noise"),
            ),
            "note": f"In one step: {moments(w.jump)}. Another sample, the same distribution.",
        },
        {
            "title": "The jump again, with all the chain’s noises merged into one",
            "terms": equation(
                image("same", "x_t", "the jump with the merged noise"),
                signal,
                start,
                noise,
                image("merged", "ε̄_t", "all the chain's noises, merged", "noise"),
            ),
            "note": f"The chain’s own x_t: they differ by {_largest(w.x_t - w.same)} at most. "
            f"Merging the last step: √(α_t (1−ᾱ_{{t−1}}) + β_t) = "
            f"√({alpha:.4f} · {1 - before:.4f} + {beta:.4f}) = "
            f"{(alpha * (1 - before) + beta) ** 0.5:.4f} = √(1−ᾱ_t).",
        },
    ]


def spread(
    schedule: NoiseSchedule, x0: Tensor, eps: Tensor, points: int = 40
) -> dict[str, tuple[list[int], list[float]]]:
    """Standard deviation of the pixels of x_t over t: (t, value) with and without the scaling.

    Measured on x_0 (C, H, W) and one ε, at `points` timesteps; nothing here is a formula's curve.
    """
    ts = sorted({round(i * schedule.T / points) for i in range(points + 1)})
    # Of a x_0 + b ε, whatever a and b are, without making each: that takes fifty times as long.
    covariance = torch.cov(torch.stack([x0.flatten(), eps.flatten()]).double())

    def deviations(signal: Tensor, noise: Tensor) -> list[float]:
        factors = torch.stack([signal, noise], 1)[ts].double()
        return ((factors @ covariance) * factors).sum(1).sqrt().tolist()

    return {
        "scaled": (ts, deviations(schedule.signal, schedule.noise)),
        "left out": (ts, deviations(torch.ones_like(schedule.signal), schedule.unscaled_noise)),
    }


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _largest(difference: Tensor) -> str:
    """The largest absolute value, as 3 · 10^{−16} for the browser's symbols."""
    value = difference.abs().max().item()
    if value == 0:
        return "0"
    digits, exponent = f"{value:.0e}".split("e")
    return f"{digits} · 10^{{{int(exponent)}}}".replace("-", "−")
