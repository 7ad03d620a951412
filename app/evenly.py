"""A few of many: which ones."""

from __future__ import annotations

import numpy as np


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of 0 … count − 1, evenly spaced, in order, with the first and the last."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})
