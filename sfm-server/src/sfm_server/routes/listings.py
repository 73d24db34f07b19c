"""Endpoints that list what there is, page by page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from sfm_core import errors
from sfm_core.engine.inputs import check_count
from sfm_core.model.cursor import place_of
from sfm_core.model.names import check_name
from sfm_server import pages, wire
from sfm_server.access.roles import ANYONE
from sfm_server.context import Context, JsonAnswer, NamedContext, PlainContext
from sfm_server.limits import JsonRoute
from sfm_server.pages import next_cursor
from sfm_server.paging import AsOfQuery, CursorQuery, LimitQuery
from sfm_server.routes.documented import failures
from sfm_server.schemas.listings import CoordsAnswer, MemoriesAnswer, NamespacesAnswer
from sfm_server.schemas.values import TypeName

router = APIRouter(route_class=JsonRoute, tags=["memories"])

CoordQuery = Annotated[
    str, Query(description='A coordinate such as "1.5,2,-3".', examples=["1.5,2,-3"])
]
TypeQuery = Annotated[TypeName | None, Query(description="Only memories of this type.")]


@router.get(
    "/range",
    response_model=CoordsAnswer,
    responses=failures(
        errors.InvalidCoordinateError, errors.InvalidCursorError, errors.HistoryGoneError
    ),
)
async def find_range(
    context: NamedContext,
    low: Annotated[CoordQuery, Query(alias="min")],
    high: Annotated[CoordQuery, Query(alias="max")],
    *,
    type: TypeQuery = None,
    limit: LimitQuery = 1000,
    cursor: CursorQuery = None,
    as_of: AsOfQuery = None,
) -> JsonAnswer:
    """List the coordinates of memories whose every component lies between two corners."""
    corners = wire.coordinate(low, field="min"), wire.coordinate(high, field="max")
    return JsonAnswer(
        await pages.range_page(
            context.engine,
            context.fallback,
            corners,
            type_name=type,
            limit=limit,
            cursor=cursor,
            as_of=wire.moment_or_none(as_of, field="as_of"),
        )
    )


@router.get(
    "/memories", response_model=MemoriesAnswer, responses=failures(errors.InvalidCursorError)
)
async def list_memories(
    context: NamedContext,
    type: TypeQuery = None,
    limit: LimitQuery = 100,
    cursor: CursorQuery = None,
) -> JsonAnswer:
    """List the memories of a namespace by their coordinates; that does not count as reading."""
    return JsonAnswer(
        await pages.memories_page(
            context.engine, context.fallback, type_name=type, limit=limit, cursor=cursor
        )
    )


@router.get(
    "/namespaces",
    tags=["system"],
    response_model=NamespacesAnswer,
    responses=failures(errors.InvalidCursorError),
)
async def list_namespaces(
    context: PlainContext, limit: LimitQuery = 100, cursor: CursorQuery = None
) -> JsonAnswer:
    """List the namespaces that hold or held something, as far as the caller may read them."""
    after = place_of(cursor, _name, "namespaces") or ""
    found = await _seen(context, after, limit)
    on = next_cursor(found, limit, str, "namespaces")
    return JsonAnswer(NamespacesAnswer(namespaces=found, next_cursor=on))


async def _seen(context: Context, after: str, limit: int) -> list[str]:
    """Go on until there are enough that the caller may see, or no more."""
    check_count(limit, context.settings.max_page, field="limit")
    caller = context.visit.caller or ANYONE
    found: list[str] = []
    while len(found) < limit:
        page = await context.engine.namespaces(after=after, limit=context.settings.max_page)
        found += caller.seen(page)
        if len(page) < context.settings.max_page:
            break
        after = page[-1]
    return found[:limit]


def _name(place: str) -> str:
    return check_name(place, field="cursor")
