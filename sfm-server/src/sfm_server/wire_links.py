"""Turns links of the core into bodies of answers."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.link import Link
from sfm_server.schemas import links


def linked(source: Link) -> links.LinkedAnswer:
    """Describe a link that was written."""
    return links.LinkedAnswer(link=link(source), position=str(source.position or ""))


def link(source: Link) -> links.LinkAnswer:
    """Describe a link."""
    return links.LinkAnswer(
        from_coord=str(source.source),
        to_coord=str(source.target),
        type=source.type,
        weight=source.weight,
        version=source.version,
        updated_at=source.updated_at,
    )


def neighbors(
    found: Sequence[Link],
    of: Coordinate,
    *,
    stale: bool | UnsetType = UNSET,
    next_cursor: str | UnsetType = UNSET,
) -> links.NeighborsAnswer:
    """Pair each link of a memory with the coordinate at its other end."""
    return links.NeighborsAnswer(
        neighbors=[
            (str(one.target if one.source == of else one.source), link(one)) for one in found
        ],
        stale=stale,
        next_cursor=next_cursor,
    )
