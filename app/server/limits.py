"""How often one may ask: token buckets, one for each who asks."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """`burst` requests at once, and then `per_second`."""

    burst: float
    per_second: float


class Buckets:
    """A bucket for each key; the `most` that were asked for last are remembered."""

    def __init__(
        self, rate: Rate, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate, self.most, self.clock = rate, most, clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, key: Hashable, cost: float = 1.0) -> float:
        """Take `cost` for `key` and return 0, or take nothing and return the seconds to wait."""
        with self._lock:
            now = self.clock()
            tokens, since = self._buckets.get(key, (self.rate.burst, now))
            tokens = min(self.rate.burst, tokens + max(0.0, now - since) * self.rate.per_second)
            enough = tokens >= cost
            self._buckets[key] = (tokens - cost if enough else tokens), now
            self._buckets.move_to_end(key)
            while len(self._buckets) > self.most:
                self._buckets.popitem(last=False)
            return 0.0 if enough else (cost - tokens) / self.rate.per_second

    def __len__(self) -> int:
        return len(self._buckets)
