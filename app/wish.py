"""What one session asks for, told to a run that is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.runs import RunSettings


@dataclass
class Wish:
    """The runs that one session asked for last; one object for all its events."""

    runs: tuple[RunSettings, ...] | None = None
