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
