"""Bodies of answers about links; see `answers` for how they are made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAnswer:
    """A link between two memories.

    Attributes:
        from_coord: The memory it starts from.
        to_coord: The memory it leads to.
        type: What the link means.
        weight: Cost of following it.
        version: 1 at first, one more at each write.
        updated_at: When this version was written.
    """

    from_coord: str
    to_coord: str
    type: str
    weight: float
    version: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedAnswer:
    """A link that was stored."""

    link: LinkAnswer
    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborsAnswer:
    """Pairs of a neighbor's coordinate and the link to it, the cheapest first."""

    neighbors: list[tuple[str, LinkAnswer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAnswer:
    """Coordinates from one memory to another, both included; empty where no path leads there."""

    path: list[str]
