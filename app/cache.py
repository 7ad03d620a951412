"""Results that all sessions share, up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LRU(Generic[K, V]):
    """A dictionary that forgets what was not asked for the longest; safe between threads."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: K, value: V, nbytes: int) -> None:
        """Keep `value`, unless it alone is larger than all that may be kept."""
        with self._lock:
            if key in self._values:
                self._bytes -= self._values.pop(key)[1]
            if nbytes > self.most_bytes:
                return
            self._values[key] = value, nbytes
            self._bytes += nbytes
            while self._bytes > self.most_bytes:
                _, (_, freed) = self._values.popitem(last=False)
                self._bytes -= freed

    def known(self, key: K, make: Callable[[], V], nbytes: Callable[[V], int]) -> V:
        """What is kept under `key`, or else made, and then kept; two may make it at once."""
        value = self.get(key)
        if value is None:
            value = make()
            self.put(key, value, nbytes(value))
        return value

    @property
    def nbytes(self) -> int:
        """What is kept at the moment."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._values)
