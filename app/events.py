"""How the page's events are queued: a few kinds, and everything is one of them.

Events of one `concurrency_id` share its places; the others wait in a queue whose length they see.
"""

from __future__ import annotations

import time
from typing import Any

from app.settings import current

# At once, whatever else is going on: what a click or a look-up costs.
QUICK: dict[str, Any] = {
    "concurrency_limit": None,
    "show_progress": "hidden",
    "api_visibility": "private",
}
# Draws files: up to a second of one core.
EXPORT: dict[str, Any] = {
    "concurrency_id": "export",
    "concurrency_limit": 2,
    "show_progress": "hidden",
    "api_visibility": "private",
}
# The same of a run, whose network is asked again where the run is no longer known.
EXPORT_RUN: dict[str, Any] = EXPORT | {"concurrency_id": "run export"}
# Begins a training, looks on at it, or ends it: at once too, but where the trainings are.
JOB: dict[str, Any] = QUICK | {"concurrency_id": "job"}
# Draws pictures and files of it.
EXPORT_JOB: dict[str, Any] = EXPORT | {"concurrency_id": "job export"}
# Runs a network: seconds of all cores. A few at once, whose passes are put together, so that a
# short run need not wait for the end of a long one; the others are told their place.
NETWORK: dict[str, Any] = {
    "concurrency_id": "network",
    "concurrency_limit": current().runs,
    "api_visibility": "private",
}


def asked_now() -> int:
    """A number that was never given before: put into a `gr.State`, it lets a program ask for what
    else a hand asks for, by the state's `change`."""
    return time.monotonic_ns()
