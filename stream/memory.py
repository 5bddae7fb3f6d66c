"""What was worked out before, the least recently used forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Values by key, so many of them and no more. Safe to share between threads.

    Args:
        size: values kept; 0 for none.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, if it is still kept."""
        value = self._kept.get(key)
        if value is not None:
            with suppress(KeyError):  # another thread had no room for it
                self._kept.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> V:
        """Keep a value; it comes back, as a caller is about to use it."""
        if self._size:
            self._kept[key] = value
            while len(self._kept) > self._size:
                with suppress(KeyError):  # another thread dropped it
                    self._kept.popitem(last=False)
        return value

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)
