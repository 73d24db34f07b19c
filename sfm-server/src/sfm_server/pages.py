"""Pages of listings, the same for the HTTP API and for a memory in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.cursor import cursor_of, place_of
from sfm_core.model.link import LinkPlace
from sfm_core.model.memory import MemoryType
from sfm_core.protocols.graph import Direction
from sfm_server import wire, wire_links
from sfm_server.schemas.links import NeighborsAnswer
from sfm_server.schemas.listings import CoordsAnswer, MemoriesAnswer
from sfm_server.schemas.memories import HistoryAnswer

ItemT = TypeVar("ItemT")


async def history_page(
    engine: MemoryEngine, namespace: str, at: Coordinate, *, limit: int, cursor: str | None
) -> HistoryAnswer:
    """Answer with versions of a memory; see `MemoryEngine.history`."""
    listing = ("history", namespace, str(at))
    before = place_of(cursor, int, *listing)
    page = await engine.history_page(namespace, at, before=before, limit=limit)
    return HistoryAnswer(
        versions=[wire.memory(one) for one in page.items],
        next_cursor=cursor_of(str(page.items[-1].version), *listing) if page.more else UNSET,
    )


async def memories_page(
    engine: MemoryEngine,
    namespace: str,
    *,
    type_name: str | None,
    limit: int,
    cursor: str | None,
) -> MemoriesAnswer:
    """Answer with memories of a namespace; see `MemoryEngine.memories_page`."""
    listing = ("memories", namespace, type_name)
    page = await engine.memories_page(
        namespace,
        type=None if type_name is None else MemoryType(type_name),
        after=place_of(cursor, coordinate_of, *listing),
        limit=limit,
    )
    return MemoriesAnswer(
        memories=[wire.memory(one) for one in page.items],
        next_cursor=cursor_of(str(page.items[-1].coordinate), *listing) if page.more else UNSET,
    )


async def range_page(
    engine: MemoryEngine,
    namespace: str,
    corners: tuple[Coordinate, Coordinate],
    *,
    type_name: str | None,
    limit: int,
    cursor: str | None,
    as_of: datetime | None,
) -> CoordsAnswer:
    """Answer with coordinates in a box; see `MemoryEngine.range`."""
    listing = ("range", namespace, *map(str, corners), type_name, as_of)
    found = await engine.range(
        namespace,
        *corners,
        type=None if type_name is None else MemoryType(type_name),
        after=place_of(cursor, coordinate_of, *listing),
        limit=limit,
        as_of=as_of,
    )
    return CoordsAnswer(
        coords=[str(one) for one in found],
        next_cursor=next_cursor(found, limit, str, *listing),
    )


async def neighbors_page(
    engine: MemoryEngine,
    namespace: str,
    at: Coordinate,
    *,
    link_type: str | None,
    direction: Literal["out", "in"],
    limit: int,
    cursor: str | None,
    stale: bool | UnsetType,
) -> NeighborsAnswer:
    """Answer with the links at a memory; see `MemoryEngine.neighbors`."""
    outgoing = direction == "out"
    listing = ("neighbors", namespace, str(at), link_type, direction)
    found = await engine.neighbors(
        namespace,
        at,
        link_type=link_type,
        direction=Direction.OUT if outgoing else Direction.IN,
        after=place_of(cursor, link_place_of, *listing),
        limit=limit,
    )
    on = next_cursor(found, limit, lambda one: text_of_link(one.place(outgoing=outgoing)), *listing)
    return wire_links.neighbors(found, at, stale=stale, next_cursor=on)


def next_cursor(
    page: Sequence[ItemT], limit: int, place: Callable[[ItemT], str], *listing: object
) -> str | UnsetType:
    """Return where the next page begins.

    Args:
        page: This page.
        limit: How many entries it could have.
        place: Makes a text of where an entry stands.
        listing: What is listed: endpoint, namespace and filters.

    Returns:
        A cursor; unset where this page is the last.
    """
    return cursor_of(place(page[-1]), *listing) if len(page) >= limit else UNSET


def coordinate_of(place: str) -> Coordinate:
    """Read the place of a memory."""
    return Coordinate.parse(place)


def text_of_link(place: LinkPlace) -> str:
    """Return a text of where a link stands."""
    return msgspec.json.encode((place.weight, str(place.neighbor), place.type)).decode()


def link_place_of(text: str) -> LinkPlace:
    """Read the place of a link."""
    weight, neighbor, link_type = msgspec.json.decode(text, type=tuple[float, str, str])
    return LinkPlace(weight, Coordinate.parse(neighbor), link_type)
