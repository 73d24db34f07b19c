"""Reading in portions that take about as much memory, however large what is read is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MOST: Final = 500
"""Entries that are read at a time, where they are small."""

_FIRST: Final = 16
_BYTES: Final = 4 * 1024 * 1024


class Portion:
    """How much to read at a time, by what the portion before has taken.

    Attributes:
        size: How many are to be read next.
    """

    def __init__(self, *, first: int = _FIRST, most: int = MOST) -> None:
        """Begin with `first`, when nothing is known yet, and never read more than `most`."""
        self.size = first
        self._most = most

    def took(self, sizes: Sequence[int]) -> None:
        """Learn from a portion.

        Args:
            sizes: How many bytes each of it had.
        """
        if sizes:
            self.size = max(1, min(self._most, _BYTES * len(sizes) // max(sum(sizes), 1)))
