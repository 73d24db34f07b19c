"""Endpoints that link memories and follow links."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from sfm_core import errors
from sfm_server import pages, wire, wire_links
from sfm_server.conditions import KeyHeader
from sfm_server.context import JsonAnswer, NamedContext
from sfm_server.freshness import is_stale
from sfm_server.limits import JsonRoute
from sfm_server.paging import CursorQuery, LimitQuery
from sfm_server.routes.documented import failures
from sfm_server.routes.listings import CoordQuery
from sfm_server.schemas import links, requests

router = APIRouter(route_class=JsonRoute, tags=["graph"])

LinkTypeQuery = Annotated[str | None, Query(description="Only links of this type.")]
PositionQuery = Annotated[
    str | None,
    Query(
        description="Wait until the links have followed the writes that have answered this "
        "position, with commas between several. If that takes too long, the answer is `stale`."
    ),
]


@router.post(
    "/link",
    response_model=links.LinkedAnswer,
    responses=failures(errors.NotFoundError, body=True),
)
async def link(body: requests.LinkRequest, context: NamedContext, key: KeyHeader) -> JsonAnswer:
    """Link two memories, replacing the link of that type between them."""
    made = await context.engine.link(
        context.namespace_of(body),
        wire.coordinate(body.from_coord, field="from_coord"),
        wire.coordinate(body.to_coord, field="to_coord"),
        type=body.type,
        weight=body.weight,
        idempotency_key=key,
    )
    return JsonAnswer(wire_links.linked(made))


@router.post(
    "/unlink",
    response_model=links.UnlinkedAnswer,
    responses=failures(errors.NotFoundError, body=True),
)
async def unlink(body: requests.UnlinkRequest, context: NamedContext, key: KeyHeader) -> JsonAnswer:
    """Remove a link."""
    removed = await context.engine.unlink(
        context.namespace_of(body),
        wire.coordinate(body.from_coord, field="from_coord"),
        wire.coordinate(body.to_coord, field="to_coord"),
        type=body.type,
        idempotency_key=key,
    )
    wire.need(bool(removed), "such link")
    return JsonAnswer(links.UnlinkedAnswer(position=str(removed.position)))


@router.get(
    "/neighbors",
    response_model=links.NeighborsAnswer,
    responses=failures(
        errors.InvalidCoordinateError, errors.InvalidCursorError, errors.InvalidPositionError
    ),
)
async def neighbors(
    coord: CoordQuery,
    context: NamedContext,
    link_type: LinkTypeQuery = None,
    limit: LimitQuery = 100,
    *,
    direction: Annotated[
        Literal["out", "in"], Query(description="Links that start there, or that lead there.")
    ] = "out",
    min_position: PositionQuery = None,
    cursor: CursorQuery = None,
) -> JsonAnswer:
    """List the memories that a memory is linked to, the cheapest link first."""
    at = wire.coordinate(coord)
    stale = await is_stale(context.engine, min_position)
    return JsonAnswer(
        await pages.neighbors_page(
            context.engine,
            context.fallback,
            at,
            link_type=link_type,
            direction=direction,
            limit=limit,
            cursor=cursor,
            stale=stale,
        )
    )


@router.get(
    "/shortest_path",
    response_model=links.PathAnswer,
    responses=failures(
        errors.InvalidCoordinateError, errors.InvalidPositionError, errors.NotFoundError
    ),
)
async def shortest_path(
    context: NamedContext,
    frm: CoordQuery,
    to: CoordQuery,
    link_type: LinkTypeQuery = None,
    min_position: PositionQuery = None,
) -> JsonAnswer:
    """Find the path with the least sum of weights; empty where no path leads there."""
    ends = wire.coordinate(frm, field="frm"), wire.coordinate(to, field="to")
    stale = await is_stale(context.engine, min_position)
    path = await context.engine.shortest_path(context.fallback, *ends, link_type=link_type)
    return JsonAnswer(links.PathAnswer(path=[str(one) for one in path], stale=stale))
