"""What a training is told, what it changes, and what it reports; `model/train.py` is the loop."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from model.checks import as_integer
from model.denoiser import Denoiser, check_target
from model.schedule import NoiseSchedule
from model.unet import UNet, UNetConfig

FLOOR = 0.01  # what the learning rate falls to, as a share of its highest
DIVERGED = 20.0  # a loss no training comes near: to predict nothing at all gives 1


class Diverged(ArithmeticError):
    """The loss left all bounds; the training has its last good weights again."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train; one of `steps` and `minutes` is the budget, which the learning rate follows.

    Raises ValueError for a setting out of its range.
    """

    steps: int | None = None
    minutes: float | None = None
    target: str = "eps"  # what the network learns to predict: eps, x0 or v
    batch: int = 64  # images a step, all processes together
    learning_rate: float = 1e-3  # at its highest
    warmup: int = 50  # steps in which it rises to that
    weight_decay: float = 0.01
    clip: float = 1.0  # a longer gradient is shortened to this
    ema: float = 0.999  # decay of the averaged weights, once warmed up
    label_dropout: float = 0.1  # share of labels withheld: guidance needs the unlabelled too
    seed: int = 0
    bf16: bool | None = None  # autocast; None: where the device has instructions for it
    report_every: int = 1  # steps between records
    sample_every: int | None = None  # steps between records that hold samples
    samples: int = 16
    sample_steps: int = 25

    def __post_init__(self) -> None:
        check_target(self.target)
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("the budget is either steps or minutes: give one of them")
        for name, (low, high, whole) in _LIMITS.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if whole:
                as_integer(value, name)
            if not low <= value <= high:  # NaN fails every comparison
                raise ValueError(f"{name} must be in {low} … {high:,}, got {value}")


_OPTIONAL = ("steps", "minutes", "sample_every")
_LIMITS = {  # lowest, highest, and whether it is a whole number
    "steps": (1, 1_000_000_000, True),
    "minutes": (0.001, 1_000_000, False),
    "batch": (1, 65_536, True),
    "learning_rate": (1e-9, 1e6, False),
    "warmup": (0, 1_000_000, True),
    "weight_decay": (0, 1, False),
    "clip": (1e-6, 1e9, False),
    "ema": (0, 1, False),
    "label_dropout": (0, 1, False),
    "seed": (0, 2**62, True),
    "report_every": (1, 1_000_000, True),
    "sample_every": (1, 1_000_000_000, True),
    "samples": (1, 1024, True),
    "sample_steps": (1, 1000, True),
}


@dataclass(frozen=True, eq=False)
class Example:
    """One image of a batch as algorithm 1 sees it; tensors are (C, H, W)."""

    x0: Tensor
    t: int
    eps: Tensor
    x_t: Tensor
    target: Tensor  # what the network should have said
    output: Tensor  # what it said
    label: int | None


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a training stands, after the optimiser's step and the average's."""

    step: int  # 1, 2, …
    images: int  # seen so far
    loss: float  # mean since the last record
    band_loss: tuple[float, ...]  # the same for each tenth of t; NaN where no t fell into it
    gradient_norm: float  # of the last step, before clipping
    learning_rate: float
    images_per_second: float  # since the last record
    seconds: float  # of training, what came before a resume included
    seconds_left: float
    fraction: float  # of the budget, in [0, 1]
    samples: Tensor | None = None  # (N, C, H, W) in [−1, 1]: the same noise each time
    example: Example | None = None  # beside samples


@dataclass(eq=False)
class Training:
    """All that training changes, and all it must know to go on from there."""

    net: UNet
    ema: UNet  # `net` averaged over its last steps: what one samples from
    schedule: NoiseSchedule
    config: TrainConfig
    optimizer: torch.optim.Optimizer
    generator: torch.Generator  # on the CPU: of batches, t, noise, and which labels are withheld
    step: int = 0
    seconds: float = 0.0
    stopping: bool = False  # set it, and `train` ends with the step under way
    sampling: bool = False  # set it, and the next step is reported with samples

    @classmethod
    def start(cls, net: UNet, schedule: NoiseSchedule, config: TrainConfig) -> Training:
        """A training of `net` from where its weights are."""
        return cls(
            net=net,
            ema=copy.deepcopy(net).requires_grad_(False).eval(),
            schedule=schedule,
            config=config,
            optimizer=torch.optim.AdamW(
                net.parameters(),
                lr=config.learning_rate,
                betas=(0.9, 0.99),
                weight_decay=config.weight_decay,
                fused=True,
            ),
            generator=torch.Generator().manual_seed(config.seed),
        )

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.net.parameters()).device

    @property
    def fraction(self) -> float:
        """How much of the budget is used, in [0, 1]."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.seconds / (60 * self.config.minutes))

    @property
    def seconds_left(self) -> float:
        """What the rest of the budget takes at the pace so far; infinite before the first step."""
        if self.config.steps is None:
            return max(0.0, 60 * self.config.minutes - self.seconds)
        steps_left = max(0, self.config.steps - self.step)
        return self.seconds / self.step * steps_left if self.step else math.inf

    @property
    def learning_rate(self) -> float:
        """Of the next step: a linear rise, then half a cosine down as the budget is used."""
        rise = min(1.0, (self.step + 1) / (self.config.warmup + 1))
        fall = FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * self.fraction)) / 2
        return self.config.learning_rate * rise * fall

    def denoiser(self, label: int | Tensor | None = None, *, averaged: bool = True) -> Denoiser:
        """The averaged network, or the one in training, as a sampler wants it, x̂_0 clipped."""
        net = self.ema if averaged else self.net
        return Denoiser(net, self.schedule, self.config.target, label, clip=True)

    @torch.no_grad()
    def average(self) -> None:
        """Let the average follow the weights of this step.

            ema ← d · ema + (1 − d) · net,    d = min(decay, (1 + step) / (10 + step))

        The bound on d is the warm-up: early on the average forgets what was before training.
        """
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        follow = get_ema_multi_avg_fn(decay)  # all in one go: on a GPU each alone costs a launch
        follow(list(self.ema.parameters()), list(self.net.parameters()), None)


class LastGood:
    """Keeps weights that are known to be good, for the case that training diverges.

    Those of a step are known to be good when the loss that follows from them is.
    """

    EVERY = 50  # steps between copies

    def __init__(self, training: Training) -> None:
        self._training = training
        self._good = self._next = self._copy()

    def check(self, loss: float) -> None:
        """Raise `Diverged`, with the last good weights restored, if `loss` is out of bounds."""
        training = self._training
        if not loss <= DIVERGED:  # NaN fails every comparison
            failed, (training.step, net, ema, optimizer) = training.step, self._good
            training.net.load_state_dict(net)
            training.ema.load_state_dict(ema)
            training.optimizer.load_state_dict(optimizer)
            raise Diverged(
                f"training diverged: the loss was {loss:.3g} at step {failed}, so it ended with "
                f"the weights of step {training.step}; a learning rate well below "
                f"{training.config.learning_rate:g} should hold"
            )
        if training.step >= self._next[0] + self.EVERY:
            self._good, self._next = self._next, self._copy()

    def _copy(self) -> tuple[int, dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        training = self._training
        parts = training.net, training.ema, training.optimizer
        return training.step, *(copy.deepcopy(part.state_dict()) for part in parts)


def new_network(config: UNetConfig, seed: int) -> UNet:
    """A network with the weights that this seed gives on every machine."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(config)
