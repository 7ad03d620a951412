"""What the library accepts: each check raises ValueError with the value and what would be right."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import Tensor

MAX_T = 1_000_000


def as_integer(value: int, what: str) -> int:
    """`value` as an int, numpy's and PyTorch's too; a float is none."""
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{what} must be an integer, got {value!r}") from None


def check_T(T: int) -> int:
    """A number of steps, 1 … 1,000,000."""
    T = as_integer(T, "T")
    if not 1 <= T <= MAX_T:
        raise ValueError(f"T must be an integer in 1 … {MAX_T:,}, got {T:,}")
    return T


def check_beta_range(beta_start: float, beta_end: float) -> None:
    """0 < β_start ≤ β_end < 1."""
    for name, value in (("beta_start", beta_start), ("beta_end", beta_end)):
        if not 0 < value < 1:  # NaN fails every comparison
            raise ValueError(f"{name} must lie in (0, 1), got {value}")
    if beta_start > beta_end:
        raise ValueError(
            f"beta_start must not exceed beta_end, got {beta_start} > {beta_end}: "
            "noise grows along the schedule"
        )


def float64_vector(values: Tensor | Sequence[float], what: str) -> Tensor:
    """A copy of `values` as a vector that is not empty: float64, on the CPU."""
    # Straight to float64: a list of Python floats would otherwise pass through float32.
    vector = torch.as_tensor(values, dtype=torch.float64).detach().cpu().clone()
    if vector.ndim != 1 or not 1 <= len(vector) <= MAX_T + 1:
        raise ValueError(f"{what} must be a non-empty vector, got shape {tuple(vector.shape)}")
    return vector


def check_each(values: Tensor, valid: Tensor, what: str, rule: str, *, first_t: int = 0) -> None:
    """Name the first of `values` that is not `valid`, and its t."""
    if not valid.all():
        i = int((~valid).nonzero()[0])
        raise ValueError(f"{what} {rule}, got {values[i].item()} at t = {i + first_t}")
