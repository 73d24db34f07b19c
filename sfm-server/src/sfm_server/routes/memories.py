"""Endpoints that store, read, change and delete memories."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from sfm_core import errors
from sfm_core.model.memory import Episode, MemoryType
from sfm_server import wire
from sfm_server.context import BodyContext, JsonAnswer, QueryContext
from sfm_server.limits import JsonRoute
from sfm_server.routes.documented import failures
from sfm_server.schemas import requests
from sfm_server.schemas.memories import (
    DeletedAnswer,
    HistoryAnswer,
    MemoryAnswer,
    StoredAnswer,
    StoredManyAnswer,
)
from sfm_server.schemas.recall import CoordsAnswer
from sfm_server.schemas.values import TypeName

router = APIRouter(route_class=JsonRoute, tags=["memories"])

CoordPath = Annotated[
    str, Path(description='A coordinate such as "1.5,2,-3".', examples=["1.5,2,-3"])
]
CoordQuery = Annotated[
    str, Query(description='A coordinate such as "1.5,2,-3".', examples=["1.5,2,-3"])
]
TypeQuery = Annotated[TypeName | None, Query(description="Only memories of this type.")]
LimitQuery = Annotated[int, Query(ge=1, description="Most entries to return.")]
VersionQuery = Annotated[
    int | None, Query(ge=0, le=2**63 - 1, description="Only if the memory is at this version.")
]


@router.post(
    "/store",
    response_model=StoredAnswer,
    responses=failures(errors.VersionConflictError, body=True),
)
async def store(body: requests.StoreRequest, context: BodyContext) -> JsonAnswer:
    """Store a memory at a coordinate, replacing the one that is there."""
    at = wire.coordinate(body.coord)
    memory = wire.new_memory(
        at,
        body.payload,
        type_name=body.type,
        importance=body.importance,
        ttl_seconds=body.ttl_seconds,
        episode=_episode(body),
        expected_version=body.expected_version,
    )
    return JsonAnswer(wire.stored(await context.engine.store(context.namespace_of(body), memory)))


@router.post("/remember", response_model=StoredAnswer, responses=failures(body=True))
async def remember(body: requests.RememberRequest, context: BodyContext) -> JsonAnswer:
    """Store a memory; without a coordinate it is given a free one, which is in the answer."""
    namespace = context.namespace_of(body)
    at = wire.coordinate("0" if body.coord is None else body.coord)
    memory = wire.new_memory(
        at,
        body.payload,
        type_name=body.type,
        importance=body.importance,
        ttl_seconds=body.ttl_seconds,
        episode=_episode(body),
    )
    if body.coord is not None:
        return JsonAnswer(wire.stored(await context.engine.store(namespace, memory)))
    result = await context.engine.remember(
        namespace,
        memory.payload,
        type=memory.type,
        importance=memory.importance,
        ttl=memory.ttl,
        episode=memory.episode,
    )
    return JsonAnswer(wire.stored(result))


@router.post("/store_bulk", response_model=StoredManyAnswer, responses=failures(body=True))
async def store_bulk(body: requests.StoreBulkRequest, context: BodyContext) -> JsonAnswer:
    """Store many memories. Each is stored by itself; those that could not be are listed."""
    memories = [
        wire.new_memory(
            wire.coordinate(item.coord, field=f"items[{place}].coord"),
            item.payload,
            type_name=item.type,
            importance=item.importance,
            ttl_seconds=item.ttl_seconds,
            episode=_episode(item),
            expected_version=item.expected_version,
        )
        for place, item in enumerate(body.items)
    ]
    results = await context.engine.store_many(context.namespace_of(body), memories)
    return JsonAnswer(wire.stored_many(results))


@router.get(
    "/range", response_model=CoordsAnswer, responses=failures(errors.InvalidCoordinateError)
)
async def find_range(
    context: QueryContext,
    low: Annotated[CoordQuery, Query(alias="min")],
    high: Annotated[CoordQuery, Query(alias="max")],
    type: TypeQuery = None,
    limit: LimitQuery = 1000,
) -> JsonAnswer:
    """List the coordinates of memories whose every component lies between two corners."""
    found = await context.engine.range(
        context.fallback,
        wire.coordinate(low, field="min"),
        wire.coordinate(high, field="max"),
        type=None if type is None else MemoryType(type),
        limit=limit,
    )
    return JsonAnswer(CoordsAnswer(coords=[str(one) for one in found]))


@router.get(
    "/memories/{coord}",
    response_model=MemoryAnswer,
    responses=failures(errors.InvalidCoordinateError, errors.NotFoundError),
)
async def get_memory(coord: CoordPath, context: QueryContext) -> JsonAnswer:
    """Read the memory at a coordinate."""
    at = wire.coordinate(coord)
    memory = await context.engine.get(context.fallback, at)
    return JsonAnswer(wire.memory(memory, await context.engine.access(context.fallback, at)))


@router.get(
    "/memories/{coord}/history",
    response_model=HistoryAnswer,
    responses=failures(errors.InvalidCoordinateError, errors.NotFoundError),
)
async def get_history(
    coord: CoordPath, context: QueryContext, limit: LimitQuery = 100
) -> JsonAnswer:
    """List the kept versions of a memory, the newest first; also after its deletion."""
    versions = await context.engine.history(context.fallback, wire.coordinate(coord), limit=limit)
    return JsonAnswer(HistoryAnswer(versions=[wire.memory(one) for one in versions]))


@router.patch(
    "/memories/{coord}",
    response_model=StoredAnswer,
    responses=failures(errors.NotFoundError, errors.VersionConflictError, body=True),
)
async def set_importance(
    coord: CoordPath, body: requests.ImportanceRequest, context: BodyContext
) -> JsonAnswer:
    """Change how important a memory is; everything else stays."""
    result = await context.engine.set_importance(
        context.namespace_of(body),
        wire.coordinate(coord),
        body.importance,
        expected_version=body.expected_version,
    )
    return JsonAnswer(wire.stored(result))


@router.delete(
    "/memories/{coord}",
    response_model=DeletedAnswer,
    responses=failures(
        errors.InvalidCoordinateError, errors.NotFoundError, errors.VersionConflictError
    ),
)
async def delete_memory(
    coord: CoordPath, context: QueryContext, expected_version: VersionQuery = None
) -> JsonAnswer:
    """Delete a memory and its links."""
    at = wire.coordinate(coord)
    deleted = await context.engine.delete(context.fallback, at, expected_version=expected_version)
    wire.need(bool(deleted), f"memory at {at}")
    return JsonAnswer(wire.deleted(deleted))


@router.post(
    "/delete_many",
    tags=["admin"],
    response_model=DeletedAnswer,
    responses=failures(body=True),
)
async def delete_many(body: requests.DeleteManyRequest, context: BodyContext) -> JsonAnswer:
    """Delete many memories; those that do not exist are passed over."""
    coordinates = [
        wire.coordinate(coord, field=f"coords[{place}]") for place, coord in enumerate(body.coords)
    ]
    deleted = await context.engine.delete_many(context.namespace_of(body), coordinates)
    return JsonAnswer(wire.deleted(deleted))


def _episode(body: requests.MemoryBody) -> Episode | None:
    if body.episode is None:
        return None
    return Episode(name=body.episode.name, order=body.episode.order)
