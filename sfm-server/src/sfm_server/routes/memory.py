"""Endpoints of one memory, which the path names."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from starlette.responses import Response

from sfm_core import errors
from sfm_core.model.memory import is_first
from sfm_core.model.precondition import Precondition
from sfm_server import pages, wire, wire_purges
from sfm_server.conditions import Conditions, KeyHeader, entity_tag, tag_missing
from sfm_server.context import JsonAnswer, NamedContext
from sfm_server.limits import JsonRoute
from sfm_server.paging import AsOfQuery, CursorQuery, LimitQuery
from sfm_server.routes.documented import ResponseDocs, failures
from sfm_server.routes.memories import episode_of
from sfm_server.schemas import patches, requests
from sfm_server.schemas.memories import DeletedAnswer, HistoryAnswer, MemoryAnswer, StoredAnswer
from sfm_server.schemas.purges import PurgedAnswer

router = APIRouter(route_class=JsonRoute, tags=["memories"])

MERGE_PATCH = "application/merge-patch+json"
_CREATED = 201
_NOT_MODIFIED = 304

CoordPath = Annotated[
    str, Path(description='A coordinate such as "1.5,2,-3".', examples=["1.5,2,-3"])
]
VersionQuery = Annotated[
    int | None, Query(ge=0, le=2**63 - 1, description="Only if the memory is at this version.")
]
PurgeQuery = Annotated[
    bool, Query(description="Whether history, and what every store has of it, goes too.")
]

# Whoever keeps an answer asks with its tag before each use, and gives it to nobody else.
_OWN = {"Cache-Control": "private, no-cache", "Vary": "Authorization, X-SFM-Namespace"}
_UNCHANGED: ResponseDocs = {_NOT_MODIFIED: {"description": "It has the tag of If-None-Match."}}
_MADE: ResponseDocs = {_CREATED: {"model": StoredAnswer, "description": "There was none before."}}
_JSON_TOO: dict[str, object] = {
    "requestBody": {
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PatchRequest"}}}
    }
}


@router.get(
    "/memories/{coord}",
    response_model=MemoryAnswer,
    responses=_UNCHANGED
    | failures(
        errors.InvalidCoordinateError,
        errors.HistoryGoneError,
        errors.NotFoundError,
        errors.PreconditionFailedError,
    ),
)
async def get_memory(
    coord: CoordPath, context: NamedContext, conditions: Conditions, as_of: AsOfQuery = None
) -> Response:
    """Read the memory at a coordinate."""
    at, then = wire.coordinate(coord), wire.moment_or_none(as_of, field="as_of")
    memory = await context.engine.get(context.fallback, at, as_of=then)
    headers = {"ETag": entity_tag(memory.revision), **_OWN}
    if conditions is not None and not conditions.holds(memory.revision):
        if not Precondition(match=conditions.match).holds(memory.revision):
            raise tag_missing(f"memory at {at}")
        return Response(status_code=_NOT_MODIFIED, headers=headers)
    access = None if then else await context.engine.access(context.fallback, at)
    return JsonAnswer(wire.memory(memory, access), headers=headers)


@router.get(
    "/memories/{coord}/history",
    response_model=HistoryAnswer,
    responses=failures(
        errors.InvalidCoordinateError, errors.InvalidCursorError, errors.NotFoundError
    ),
)
async def get_history(
    coord: CoordPath, context: NamedContext, limit: LimitQuery = 100, cursor: CursorQuery = None
) -> JsonAnswer:
    """List the kept versions of a memory, the newest first; also after its deletion."""
    at = wire.coordinate(coord)
    return JsonAnswer(
        await pages.history_page(context.engine, context.fallback, at, limit=limit, cursor=cursor)
    )


@router.put(
    "/memories/{coord}",
    response_model=StoredAnswer,
    responses=_MADE
    | failures(errors.PreconditionFailedError, errors.VersionConflictError, body=True),
)
async def put_memory(
    coord: CoordPath,
    body: requests.PutRequest,
    context: NamedContext,
    conditions: Conditions,
    key: KeyHeader,
) -> JsonAnswer:
    """Store a memory at the coordinate, replacing the one that is there."""
    memory = wire.new_memory(
        wire.coordinate(coord),
        body.payload,
        type_name=body.type,
        importance=body.importance,
        ttl_seconds=body.ttl_seconds,
        episode=episode_of(body),
        expected_version=body.expected_version,
    )
    result = await context.engine.store(
        context.namespace_of(body), memory, precondition=conditions, idempotency_key=key
    )
    return JsonAnswer(
        wire.stored(result),
        status_code=_CREATED if is_first(result.revision) else 200,
        headers={"ETag": entity_tag(result.revision)},
    )


@router.patch(
    "/memories/{coord}",
    response_model=StoredAnswer,
    responses=failures(
        errors.NotFoundError,
        errors.PreconditionFailedError,
        errors.VersionConflictError,
        body=True,
    ),
    openapi_extra=_JSON_TOO,
)
async def patch_memory(
    coord: CoordPath,
    body: Annotated[patches.PatchRequest, Body(media_type=MERGE_PATCH)],
    context: NamedContext,
    conditions: Conditions,
    key: KeyHeader,
) -> JsonAnswer:
    """Change parts of a memory by a JSON Merge Patch; everything else stays."""
    result = await context.engine.update(
        context.namespace_of(body),
        wire.coordinate(coord),
        patches.patch_of(body),
        expected_version=body.expected_version,
        precondition=conditions,
        idempotency_key=key,
    )
    return JsonAnswer(wire.stored(result), headers={"ETag": entity_tag(result.revision)})


@router.delete(
    "/memories/{coord}",
    response_model=PurgedAnswer | DeletedAnswer,
    responses=failures(
        errors.InvalidCoordinateError,
        errors.NotFoundError,
        errors.PreconditionFailedError,
        errors.VersionConflictError,
    ),
)
async def delete_memory(
    coord: CoordPath,
    context: NamedContext,
    conditions: Conditions,
    key: KeyHeader,
    *,
    expected_version: VersionQuery = None,
    purge: PurgeQuery = False,
) -> JsonAnswer:
    """Delete a memory and its links.

    With `purge`, history goes too, also of a memory that was deleted before, and the
    answer tells for each store what is left.
    """
    at = wire.coordinate(coord)
    if purge:
        purged = await context.engine.purge(
            context.fallback,
            at,
            expected_version=expected_version,
            precondition=conditions,
            idempotency_key=key,
        )
        return JsonAnswer(wire_purges.purged(purged))
    deleted = await context.engine.delete(
        context.fallback,
        at,
        expected_version=expected_version,
        precondition=conditions,
        idempotency_key=key,
    )
    wire.need(bool(deleted), f"memory at {at}")
    return JsonAnswer(wire.deleted(deleted))
