"""Who goes first where the processor cannot do all at once."""

from __future__ import annotations

import os
import sys
import threading

PASSES, TRAINING = 10, 15  # how far threads that ask networks, or train them, stand back


def stand_back(niceness: int) -> None:
    """Let this thread, and those that PyTorch starts for it, yield to all others."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        now = os.getpriority(os.PRIO_PROCESS, thread)  # which only the system's owner may undo
        os.setpriority(os.PRIO_PROCESS, thread, max(now, niceness))
