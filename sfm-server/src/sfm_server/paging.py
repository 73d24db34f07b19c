"""What requests say about pages of listings."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

AsOfQuery = Annotated[
    str | None,
    Query(
        description="As it was at this time (RFC 3339), as far as history is kept.",
        examples=["2026-02-03T04:05:06Z"],
    ),
]

LimitQuery = Annotated[int, Query(ge=1, description="Most entries to return.")]
CursorQuery = Annotated[
    str | None,
    Query(
        description="Where to go on: the `next_cursor` of the page before. Everything else that "
        "is asked for has to be the same as there."
    ),
]
