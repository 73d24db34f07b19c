"""What picks memories, as a request or a command says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sfm_server.schemas.values import TypeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """What picks the memories to delete or to purge, among some that are looked at.

    Attributes:
        filters: JSON form of a filter.
        type: Only memories of this type.
        limit: How many memories to look at.
        cursor: Where to go on.
    """

    filters: Mapping[str, object] | None
    type: TypeName | None
    limit: int
    cursor: str | None = None

    def going_on(self, cursor: str | None) -> Picked:
        """Return the same, to go on at a cursor."""
        return replace(self, cursor=cursor)
