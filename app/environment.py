"""What Gradio, uvicorn and PyTorch read from the environment when they are imported."""

from __future__ import annotations

import os
import sys

from app.memory import few_arenas


def prepare() -> None:
    """Set what suits this app and the person who starts it has not set; loads nothing."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # After each event Gradio tabulates the last ten thousand, for a page that is closed here.
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")
    if os.environ.get("SPACE_ID"):  # only the Hub's own proxy reaches a Space: it says who asks
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    # PyTorch's threads wait for each other by spinning: where anything else computes at the same
    # time, that costs several times the work itself.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    few_arenas()
    # A thread that computes in Python keeps the others out for this long, the server's loop too.
    sys.setswitchinterval(0.001)
