"""Answers about events."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayAnswer:
    """What was told again, or would be.

    Attributes:
        events: All events.
        memories: Those of memories.
        links: Those of links.
    """

    events: int
    memories: int
    links: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsAnswer:
    """A part of the event log.

    Attributes:
        events: What changed, in order, as documents of CloudEvents 1.0.
        position: Where to read on; give it as `after`.
        more: Whether there was more when it was read.
    """

    events: list[dict[str, object]]
    position: str
    more: bool
