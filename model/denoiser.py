"""From a network's output to what a sampler needs: ε, x̂_0 and v; the only place that converts.

All three say the same about x_t = √ᾱ_t x_0 + √(1−ᾱ_t) ε, so that one of them and x_t give the rest:

    target   the network predicts       and so
    eps      ε                          x̂_0 = (x_t − √(1−ᾱ_t) ε) / √ᾱ_t     Ho et al. 2020, eq. 15
    x0       x_0                        ε   = (x_t − √ᾱ_t x̂_0) / √(1−ᾱ_t)
    v        √ᾱ_t ε − √(1−ᾱ_t) x_0      x̂_0 = √ᾱ_t x_t − √(1−ᾱ_t) v         Salimans & Ho 2022

Salimans & Ho 2022 is "Progressive Distillation for Fast Sampling of Diffusion Models", appendix D.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.device import to_device
from model.schedule import NoiseSchedule, broadcast_at

TARGETS = ("eps", "x0", "v")

# Any network: x_t (B, C, H, W), the t it is told (B,), and labels (B,) or None → (B, C, H, W).
Network = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network believes of x_t, said in three ways; each (B, C, H, W)."""

    eps: Tensor
    x0: Tensor
    v: Tensor

    def cpu(self) -> Prediction:
        """The same, brought to the CPU."""
        return Prediction(self.eps.cpu(), self.x0.cpu(), self.v.cpu())


def check_target(target: str) -> str:
    """One of `TARGETS`. Raises ValueError for anything else."""
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}, got {target!r}")
    return target


def target_of(
    target: str, schedule: NoiseSchedule, x0: Tensor, t: int | Tensor, eps: Tensor
) -> Tensor:
    """What a network trained for `target` should say of x_t = q_sample(x0, t, eps).

    x0, eps: (B, C, H, W); returns that shape. Raises ValueError for an unknown target or t.
    """
    if check_target(target) == "eps":
        return eps
    if target == "x0":
        return x0
    return broadcast_at(schedule.signal, t, x0) * eps - broadcast_at(schedule.noise, t, x0) * x0


def predict(
    target: str,
    output: Tensor,
    schedule: NoiseSchedule,
    x_t: Tensor,
    t: int | Tensor,
    *,
    clip: bool = False,
) -> Prediction:
    """ε, x̂_0 and v from any one of them, `output`, about x_t at t = 1 … T.

    output and x_t: (B, C, H, W). With `clip`, x̂_0 is held to [−1, 1], and ε and v are those that
    go with that x̂_0. Raises ValueError for an unknown target or a t outside 1 … T: at t = 0 there
    is no noise to predict.
    """
    check_target(target)
    _check_t(schedule, x_t, t)
    signal, noise = broadcast_at(schedule.signal, t, x_t), broadcast_at(schedule.noise, t, x_t)
    if target == "eps":
        x0 = (x_t - noise * output) / signal
    else:
        x0 = output if target == "x0" else signal * x_t - noise * output
    if clip:
        target, x0 = "x0", x0.clamp(-1, 1)
    if target == "v":
        return Prediction(noise * x_t + signal * output, x0, output)
    eps = output if target == "eps" else (x_t - signal * x0) / noise
    return Prediction(eps, x0, signal * eps - noise * x0)


def clip_x0(
    prediction: Prediction, schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor
) -> Prediction:
    """The prediction with x̂_0 held to [−1, 1], and the ε and v that go with that x̂_0."""
    return predict("x0", prediction.x0, schedule, x_t, t, clip=True)


@dataclass(frozen=True, eq=False)
class Denoiser:
    """A network with all that is needed to ask it about x_t: call it as ``denoiser(x_t, t)``.

    `schedule` is the one whose t it is called with. `label` is one for all images or one for each,
    (B,); None asks without a label. With `clip`, x̂_0 is clipped as by `clip_x0`.
    Raises ValueError for an unknown target.
    """

    net: Network
    schedule: NoiseSchedule
    target: str = "eps"
    label: int | Tensor | None = None
    clip: bool = False
    trained_on: NoiseSchedule | None = None  # where it is not `schedule`: set by `on`
    told: Tensor | None = None  # (T+1,) float64: the t that the network is told in place of each t

    def __post_init__(self) -> None:
        check_target(self.target)

    def __call__(self, x_t: Tensor, t: int | Tensor) -> Prediction:
        """The prediction for x_t (B, C, H, W) at t = 1 … T, one for all images or one each, (B,).

        Raises ValueError for a t outside the schedule or labels that do not fit the batch.
        """
        _check_t(self.schedule, x_t, t)  # before the network spends its time on it
        output = self.net(x_t, self._told(x_t, t), self._labels(x_t))
        return predict(self.target, output, self.schedule, x_t, t, clip=self.clip)

    def on(self, schedule: NoiseSchedule, *, matched: bool = True) -> Denoiser:
        """The same network sampled on another schedule, whose t it is then called with.

        Matched, it is told the (fractional) t of its own schedule that has the same ᾱ, so the same
        share of noise as what it sees; naive, the same number t, however noisy that is to it.
        """
        own = self.trained_on or self.schedule
        told = own.at_alpha_bar(schedule.alpha_bars) if matched else None
        return replace(self, schedule=schedule, trained_on=own, told=told)

    def _told(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        if isinstance(t, int):  # filled in where it is needed: nothing is copied there
            t = t if self.told is None else self.told[t].item()
            return torch.full((len(x_t),), t, device=x_t.device)
        t = torch.as_tensor(t) if self.told is None else self.told[torch.as_tensor(t).cpu()].float()
        return to_device(t, x_t.device).expand(len(x_t))

    def _labels(self, x_t: Tensor) -> Tensor | None:
        if self.label is None:
            return None
        if isinstance(self.label, int):
            return torch.full((len(x_t),), self.label, device=x_t.device)
        label = to_device(torch.as_tensor(self.label), x_t.device)
        if label.ndim > 1 or (label.ndim == 1 and len(label) not in (1, len(x_t))):
            raise ValueError(
                f"label must be one for all or one for each of {len(x_t)} images, "
                f"got shape {tuple(label.shape)}"
            )
        return label.expand(len(x_t))


@dataclass(frozen=True, eq=False)
class GuidedDenoiser:
    """Two denoisers of one schedule, the first exaggerated: made by `guide`."""

    conditional: Denoiser
    base: Denoiser
    scale: float
    clip: bool

    @property
    def schedule(self) -> NoiseSchedule:
        return self.conditional.schedule

    def __call__(self, x_t: Tensor, t: int | Tensor) -> Prediction:
        """As `Denoiser.__call__`."""
        wanted, base = self._both(x_t, t)
        # All three are linear in one another while x_t is given, so the same rule holds for each.
        prediction = Prediction(
            *(
                torch.lerp(getattr(base, name), getattr(wanted, name), self.scale)
                for name in ("eps", "x0", "v")
            )
        )
        return clip_x0(prediction, self.schedule, x_t, t) if self.clip else prediction

    def _both(self, x_t: Tensor, t: int | Tensor) -> tuple[Prediction, Prediction]:
        """What the two say; of one network in one pass, which takes less time than two."""
        a, b = self.conditional, self.base
        same = a.net == b.net and a.target == b.target and (a.told is None) == (b.told is None)
        if not same or a.label is None or b.label is None:
            return a(x_t, t), b(x_t, t)
        labels = torch.cat([a._labels(x_t), b._labels(x_t)])
        t = t if isinstance(t, int) else torch.as_tensor(t).expand(len(x_t)).repeat(2)
        both = replace(a, label=labels)(torch.cat([x_t, x_t]), t)
        first, second = zip(*(part.chunk(2) for part in (both.eps, both.x0, both.v)), strict=True)
        return Prediction(*first), Prediction(*second)

    def on(self, schedule: NoiseSchedule, *, matched: bool = True) -> GuidedDenoiser:
        """As `Denoiser.on`, for both."""
        return replace(
            self,
            conditional=self.conditional.on(schedule, matched=matched),
            base=self.base.on(schedule, matched=matched),
        )


def guide(conditional: Denoiser, base: Denoiser, scale: float) -> GuidedDenoiser:
    """Classifier-free guidance: away from `base`, towards `conditional`, and beyond.

        ε = ε_base + scale · (ε_conditional − ε_base)

    Ho & Salimans 2022, "Classifier-Free Diffusion Guidance", eq. 6, with scale = 1 + w: 0 is the
    base, 1 the conditional prediction. `base` may be unconditional, or ask for what is not
    wanted. Where `conditional` clips, x̂_0 is clipped after the two are combined.
    Raises ValueError for a scale that is not finite or two different schedules.
    """
    if not math.isfinite(scale):
        raise ValueError(f"the guidance scale must be a finite number, got {scale}")
    if not torch.equal(conditional.schedule.alpha_bars, base.schedule.alpha_bars):
        raise ValueError("both denoisers must be called with t of the same schedule")
    unclipped = replace(conditional, clip=False), replace(base, clip=False)
    return GuidedDenoiser(*unclipped, scale=float(scale), clip=conditional.clip)


def _check_t(schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor) -> None:
    if isinstance(t, int) and 1 <= t <= schedule.T:  # the common case, without tensor overhead
        return
    broadcast_at(schedule.noise, t, x_t)  # raises for what is no t, or not of this batch
    if bool((torch.as_tensor(t) < 1).any()):
        raise ValueError(f"there is noise to predict at t = 1 … {schedule.T} only, got {t}")
