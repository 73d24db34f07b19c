"""Telling a process that is gone from one that is there, without comparing clocks."""

from __future__ import annotations

from datetime import timedelta

from sfm_core.clock import Clock


class Stillness:
    """How long entries have stood still while this process was watching."""

    def __init__(self, clock: Clock) -> None:
        """Measure on `clock`, which no other process needs to agree with."""
        self._clock = clock
        self._seen: dict[bytes, tuple[int, float]] = {}

    def of(self, key: bytes, version: int) -> timedelta:
        """Look at an entry.

        Args:
            key: Which entry.
            version: Its version now.

        Returns:
            How long it has had that version, as far as this process has seen.
        """
        now = self._clock.monotonic()
        seen, since = self._seen.get(key, (version, now))
        if key not in self._seen or seen != version:
            since = now
            self._seen[key] = (version, now)
        return timedelta(seconds=now - since)
