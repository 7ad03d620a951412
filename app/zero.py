"""ZeroGPU, a kind of Hugging Face Space: a GPU is lent for as long as an event takes.

The page's own process has none. An event that asks a network does it in another process, forked
from this one (see `app.apart`). Anywhere else nothing of this happens.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from app.apart import NETWORKS, Handler, Lender, handled
from app.settings import current

if current().zero_gpu:
    # It is there on such a Space, and must come before anything asks PyTorch for CUDA.
    import spaces

# At most, of a GPU that is lent: two runs of 1000 steps, or a look at one network.
WALK_SECONDS, LOOK_SECONDS = 60, 30


def lenders() -> dict[str, Lender]:
    """ZeroGPU's own, for all events that ask a network; none where it is not in charge."""
    if not current().zero_gpu:
        return {}
    # One task for all: they then share a process, and with it the runs that it has kept.
    return {NETWORKS: spaces.GPU(handled, duration=seconds)}


def seconds(handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """For how long a GPU is asked for: the most that the handler may take."""
    return WALK_SECONDS if inspect.isgeneratorfunction(handler) else LOOK_SECONDS
