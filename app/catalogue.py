"""The schedules that a person can choose by name, and those that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.forms import check_integer, check_number
from app.settings import current
from model.schedule import FAMILIES, NoiseSchedule

CUSTOM = "custom"
MOST_POINTS = 12  # of a custom schedule
DEFAULT_POINTS = ((0.0, 1.0), (0.25, 0.9), (0.5, 0.55), (0.75, 0.15), (1.0, 0.0005))


@dataclass(frozen=True)
class Recipe:
    """What a schedule is made from: a family's name, or control points, and its parameters."""

    family: str
    T: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    s: float = 0.008
    rescale: bool = False
    points: Sequence[tuple[float, float]] = field(default=DEFAULT_POINTS)

    def build(self) -> NoiseSchedule:
        """The schedule; ValueError with one clear sentence if a parameter is out of range."""
        T = check_integer(self.T, "T", 1, current().max_T)
        if self.family == CUSTOM:
            return NoiseSchedule.from_points(self.points, T)
        if self.family not in FAMILIES:
            raise ValueError(
                f"The family must be one of {', '.join(FAMILIES)} or {CUSTOM}, "
                f"got {self.family!r:.40}."
            )
        if self.family == "cosine":
            return NoiseSchedule.cosine(T, s=check_number(self.s, "s", 0, 1))
        start = check_number(self.beta_start, "β_start", 0, 1)
        end = check_number(self.beta_end, "β_end", 0, 1)
        return FAMILIES[self.family](T, start, end, rescale=bool(self.rescale))

    @property
    def title(self) -> str:
        """What a legend says."""
        if self.family == CUSTOM:
            return f"custom, T = {self.T}"
        if self.family == "cosine":
            s = "" if self.s == 0.008 else f", s = {self.s:g}"
            return f"cosine{s}, T = {self.T}"
        rescaled = ", rescaled" if self.rescale and self.T != 1000 else ""
        return f"{self.family} {self.beta_start:g} → {self.beta_end:g}, T = {self.T}{rescaled}"


@dataclass(frozen=True)
class Curve:
    """A schedule on show: `slot` chooses its colour and dash."""

    key: str
    title: str
    slot: int
    schedule: NoiseSchedule


# key: (title, colour slot, recipe). Who used it stands in the texts of the Schedules tab.
PRESETS: dict[str, tuple[str, int, Recipe]] = {
    "ddpm": ("DDPM linear", 0, Recipe("linear")),
    "cosine": ("cosine", 1, Recipe("cosine")),
    "latent": ("scaled linear (latent diffusion)", 2,
               Recipe("scaled linear", beta_start=0.00085, beta_end=0.012)),
    "sigmoid": ("sigmoid", 3, Recipe("sigmoid")),
    CUSTOM: ("custom, drawn by hand", 4, Recipe(CUSTOM)),
    "linear-300": ("linear 1e-4 → 0.04, T = 300", 5, Recipe("linear", 300, beta_end=0.04)),
    "ddpm-50": ("DDPM linear cut to T = 50", 6, Recipe("linear", 50)),
    "ddpm-50-rescaled": ("DDPM linear rescaled to T = 50", 7, Recipe("linear", 50, rescale=True)),
    "ddpm-10": ("DDPM linear cut to T = 10", 8, Recipe("linear", 10)),
    "ddpm-10-rescaled": ("DDPM linear rescaled to T = 10", 9, Recipe("linear", 10, rescale=True)),
}  # fmt: skip

# What the Forward tab offers, each at the T chosen there: key → (title, colour slot, recipe).
FORWARD: dict[str, tuple[str, int, Recipe]] = {
    "linear": ("linear", 0, Recipe("linear")),
    "cosine": ("cosine", 1, Recipe("cosine")),
    "scaled linear": ("scaled linear", 2, PRESETS["latent"][2]),
    "sigmoid": ("sigmoid", 3, Recipe("sigmoid")),
    CUSTOM: ("custom", 4, Recipe(CUSTOM)),
}
