"""Pauses between tries of what keeps failing."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta


class Backoff:
    """Pauses that grow with every failure in a row.

    Each is drawn evenly from zero to the longest that it may be, so that
    processes which failed together do not try again together.
    """

    def __init__(
        self,
        *,
        first: timedelta = timedelta(milliseconds=250),
        limit: timedelta = timedelta(seconds=30),
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Begin with short pauses.

        Args:
            first: Longest pause after the first failure; it doubles with each.
            limit: What the longest pause never grows beyond.
            draw: Draws a number from 0 to 1.
        """
        self._first = first
        self._limit = limit
        self._draw = draw
        self._longest = first

    def next(self) -> timedelta:
        """Return how long to pause after one more failure."""
        longest, self._longest = self._longest, min(2 * self._longest, self._limit)
        return longest * self._draw()

    def reset(self) -> None:
        """Begin with short pauses again, after a success."""
        self._longest = self._first
