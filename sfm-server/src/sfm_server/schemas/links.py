"""Bodies of answers about links; see `answers` for how they are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sfm_server.schemas.values import Cursor, Stale, unasked


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
    """A link that was stored.

    Attributes:
        link: The link.
        ok: Always true.
        position: What `/neighbors` and `/shortest_path` take as `min_position`, to be
            answered when they see it.
    """

    link: LinkAnswer
    ok: bool = True
    position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlinkedAnswer:
    """A link that was removed.

    Attributes:
        ok: Always true.
        position: What `/neighbors` and `/shortest_path` take as `min_position`, to be
            answered when they have followed.
    """

    ok: bool = True
    position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborsAnswer:
    """Pairs of a neighbor's coordinate and the link to it, the cheapest first.

    Attributes:
        neighbors: The pairs.
        stale: Whether links that `min_position` names may be missing still; left out
            where it is not given.
        next_cursor: What asks for the next page; left out on the last.
    """

    neighbors: list[tuple[str, LinkAnswer]]
    stale: Stale = field(default_factory=unasked)
    next_cursor: Cursor = field(default_factory=unasked)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAnswer:
    """Coordinates from one memory to another, both included; empty where no path leads there.

    Attributes:
        path: The coordinates.
        stale: Whether links that `min_position` names may be missing still; left out
            where it is not given.
    """

    path: list[str]
    stale: Stale = field(default_factory=unasked)
