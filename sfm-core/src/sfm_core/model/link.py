"""Links: directed, typed, weighted edges between two memories of a namespace."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.position import WritePosition

DEFAULT_LINK_TYPE = "related"
MAX_WEIGHT = 1e100
"""The largest weight of a link, so that no path is too long for a float to tell."""


@dataclass(frozen=True, slots=True)
class LinkPlace:
    """Where a link stands among those at a memory, the lightest first.

    Attributes:
        weight: Its weight.
        neighbor: The memory at its other end.
        type: What it means.
    """

    weight: float
    neighbor: Coordinate
    type: str

    @property
    def order(self) -> tuple[float, bytes, bytes]:
        """What links are ordered by: the same in every store."""
        return self.weight, self.neighbor.key, self.type.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An edge as the truth holds it.

    Attributes:
        source: The memory it starts from.
        target: The memory it leads to.
        type: What the link means; part of its identity, so two memories can
            be linked once per type and direction.
        weight: Cost of following it, from 0 to `MAX_WEIGHT`; shortest path adds them up.
        version: 1 at first, one more at each write.
        updated_at: When this version was written.
        position: Of a link that was just written, what `wait_for` takes, to
            follow links only when that sees it.
    """

    source: Coordinate
    target: Coordinate
    type: str
    weight: float
    version: int
    updated_at: datetime
    position: WritePosition | None = field(default=None, compare=False)

    def place(self, *, outgoing: bool) -> LinkPlace:
        """Return where it stands among the links that leave, or reach, one memory."""
        return LinkPlace(self.weight, self.target if outgoing else self.source, self.type)
