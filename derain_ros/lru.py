"""A map that knows what was used least recently; cachetools' evict by count or by age alone."""

from collections import OrderedDict
from collections.abc import Callable
import time
from typing import Generic, TypeVar

Key = TypeVar('Key')
Value = TypeVar('Value')


class RecentlyUsed(Generic[Key, Value]):
    """A map in the order of last use. It evicts nothing itself; its owner asks ``oldest``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._items: OrderedDict[Key, tuple[Value, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def values(self, within_s: float = float('inf')) -> list[Value]:
        """Return the values used within so many seconds, the least recently used first."""
        now = self._clock()
        return [value for value, used_at in list(self._items.values()) if now - used_at < within_s]

    def peek(self, key: Key) -> Value | None:
        """Return a value without using it, or None where there is none."""
        return self._items.get(key, (None, 0.0))[0]

    def get(self, key: Key) -> Value | None:
        """Return a value, which counts as using it, or None where there is none."""
        value = self.peek(key)
        if value is not None:
            self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Store a value, which counts as using it."""
        self._items[key] = value, self._clock()
        self._items.move_to_end(key)

    def pop(self, key: Key) -> Value | None:
        """Remove a value and return it, or None where there is none."""
        return self._items.pop(key, (None, 0.0))[0]

    def clear(self) -> None:
        """Remove all values."""
        self._items.clear()

    def oldest(self) -> tuple[Key, float]:
        """
        Return the key used least recently, and the seconds since.

        :raises KeyError: the map is empty.
        """
        for key, (_, used_at) in self._items.items():
            return key, self._clock() - used_at
        raise KeyError('the map is empty')
