"""Arrays that grow at the end without being copied at every step."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

# There may be many small ones: 64 vectors' room for each would be mostly idle.
_FIRST_ROOM = 8

ScalarT = TypeVar("ScalarT", bound=np.generic)


class Growing(Generic[ScalarT]):
    """A NumPy array with room at its end."""

    def __init__(self, dtype: type[ScalarT], *, width: int | None = None) -> None:
        """Start empty.

        Args:
            dtype: Type of the elements.
            width: Elements per row; `None` for one dimension.
        """
        self._tail = () if width is None else (width,)
        self._room: NDArray[ScalarT] = np.empty((_FIRST_ROOM, *self._tail), dtype)
        self._size = 0

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self._size

    @property
    def view(self) -> NDArray[ScalarT]:
        """The rows so far. Shares memory with this object until it grows."""
        return self._room[: self._size]

    def extend(self, rows: NDArray[ScalarT]) -> None:
        """Add rows at the end."""
        needed = self._size + len(rows)
        if needed > len(self._room):
            # A half more each time: twice would hold half of a large index idle.
            room = np.empty((max(needed, len(self._room) * 3 // 2), *self._tail), self.dtype)
            room[: self._size] = self.view
            self._room = room
        self._room[self._size : needed] = rows
        self._size = needed

    @property
    def dtype(self) -> DTypeLike:
        """Type of the elements."""
        return self._room.dtype
