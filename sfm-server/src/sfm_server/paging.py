"""Reading listings page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import msgspec
from fastapi import Query
from msgspec import UNSET, UnsetType

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.cursor import cursor_of
from sfm_core.model.link import LinkPlace

AsOfQuery = Annotated[
    str | None,
    Query(
        description="As it was at this time (RFC 3339), as far as history is kept.",
        examples=["2026-02-03T04:05:06Z"],
    ),
]

ItemT = TypeVar("ItemT")

LimitQuery = Annotated[int, Query(ge=1, description="Most entries to return.")]
CursorQuery = Annotated[
    str | None,
    Query(
        description="Where to go on: the `next_cursor` of the page before. Everything else that "
        "is asked for has to be the same as there."
    ),
]


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
