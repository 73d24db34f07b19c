"""Telling a process that is gone from one that is there, without comparing clocks."""

from __future__ import annotations

from datetime import timedelta

from sfm_core.clock import Clock


class Moment:
    """A point in time, on both clocks of the machine.

    The monotonic one may stand still while the machine sleeps, and the other
    one may be set back; so the one that has gone further tells how long ago it was.
    """

    def __init__(self, clock: Clock) -> None:
        """Take the present."""
        self._clock = clock
        self._monotonic = clock.monotonic()
        self._wall = clock.now()

    @property
    def age(self) -> timedelta:
        """How long ago this was, at most."""
        passed = timedelta(seconds=self._clock.monotonic() - self._monotonic)
        return max(passed, self._clock.now() - self._wall)


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
