"""Memory that nobody uses any more, and that the C library would keep."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress

ARENAS = 2  # of glibc, which else takes eight for each core, and gives back little from each
_ARENAS_OF = "MALLOC_ARENA_MAX"
_M_ARENA_MAX = -8  # from malloc.h
_ELSEWHERE = (AttributeError, OSError, TypeError)  # on a system with another C library


def few_arenas() -> None:
    """Let all threads share two pools of memory, here and in the processes that this one starts.

    Threads that take and give back by turns leave each pool in pieces. Who has set
    MALLOC_ARENA_MAX is obeyed.
    """
    if _ARENAS_OF not in os.environ:
        os.environ[_ARENAS_OF] = str(ARENAS)  # is read at a start
        with suppress(*_ELSEWHERE):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Return to the system what lies between the pieces in use: after something large is over."""
    gc.collect()
    with suppress(*_ELSEWHERE):
        ctypes.CDLL(None).malloc_trim(0)
