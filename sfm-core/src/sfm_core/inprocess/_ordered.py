"""A mapping whose keys are bytes and can be read in order."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice
from typing import Generic, TypeVar

from sfm_core.model.keys import KeyRange

ValueT = TypeVar("ValueT")


class OrderedMap(Generic[ValueT]):
    """Values by key, in byte order of the keys."""

    def __init__(self) -> None:
        self._values: dict[bytes, ValueT] = {}
        self._keys: list[bytes] = []

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[ValueT]:
        return (self._values[key] for key in self._keys)

    def get(self, key: bytes) -> ValueT | None:
        """Return the value under a key; `None` where there is none."""
        return self._values.get(key)

    def put(self, key: bytes, value: ValueT) -> None:
        """Keep a value under a key, in place of what was there."""
        if key not in self._values:
            insort(self._keys, key)
        self._values[key] = value

    def remove(self, key: bytes) -> ValueT | None:
        """Take a key out and return what was there."""
        if key not in self._values:
            return None
        del self._keys[bisect_left(self._keys, key)]
        return self._values.pop(key)

    def read(self, keys: KeyRange, limit: int) -> list[tuple[bytes, ValueT]]:
        """Return the first `limit` items of a range, from its end where it is reversed."""
        first = bisect_left(self._keys, keys.start)
        last = len(self._keys) if keys.end is None else bisect_left(self._keys, keys.end)
        places = range(last - 1, first - 1, -1) if keys.reverse else range(first, last)
        return [
            (self._keys[place], self._values[self._keys[place]]) for place in islice(places, limit)
        ]

    def read_after(self, key: bytes | None, limit: int) -> list[ValueT]:
        """Return the next `limit` values after a key; from the first where it is `None`."""
        start = b"" if key is None else key + b"\0"
        return [value for _, value in self.read(KeyRange(start, None), limit)]
