"""Endpoints that store and delete memories whose coordinates are in the body."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fastapi import APIRouter

from sfm_core import errors
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.memory import Episode
from sfm_core.model.report import Stored
from sfm_server import wire, wire_purges
from sfm_server.conditions import KeyHeader
from sfm_server.context import JsonAnswer, NamedContext
from sfm_server.deleting import delete_at, delete_picked
from sfm_server.limits import JsonRoute
from sfm_server.picked import Picked
from sfm_server.routes.documented import failures
from sfm_server.schemas import requests
from sfm_server.schemas.memories import DeletedManyAnswer, StoredAnswer, StoredManyAnswer
from sfm_server.schemas.purges import PurgedAnswer, PurgedManyAnswer

log = logging.getLogger(__name__)

router = APIRouter(route_class=JsonRoute, tags=["memories"])


@router.post(
    "/store",
    response_model=StoredAnswer,
    responses=failures(errors.VersionConflictError, body=True),
)
async def store(body: requests.StoreRequest, context: NamedContext, key: KeyHeader) -> JsonAnswer:
    """Store a memory at a coordinate, replacing the one that is there."""
    at = wire.coordinate(body.coord)
    memory = wire.new_memory(
        at,
        body.payload,
        type_name=body.type,
        importance=body.importance,
        ttl_seconds=body.ttl_seconds,
        episode=episode_of(body),
        expected_version=body.expected_version,
    )
    result = await context.engine.store(context.namespace_of(body), memory, idempotency_key=key)
    return JsonAnswer(wire.stored(result))


@router.post("/remember", response_model=StoredAnswer, responses=failures(body=True))
async def remember(
    body: requests.RememberRequest, context: NamedContext, key: KeyHeader
) -> JsonAnswer:
    """Store a memory; without a coordinate it is given a free one, which is in the answer."""
    namespace = context.namespace_of(body)
    at = wire.coordinate("0" if body.coord is None else body.coord)
    memory = wire.new_memory(
        at,
        body.payload,
        type_name=body.type,
        importance=body.importance,
        ttl_seconds=body.ttl_seconds,
        episode=episode_of(body),
    )
    if body.coord is not None:
        result = await context.engine.store(namespace, memory, idempotency_key=key)
        return JsonAnswer(wire.stored(result))
    result = await context.engine.remember(
        namespace,
        memory.payload,
        type=memory.type,
        importance=memory.importance,
        ttl=memory.ttl,
        episode=memory.episode,
        idempotency_key=key,
    )
    return JsonAnswer(wire.stored(result))


@router.post("/store_bulk", response_model=StoredManyAnswer, responses=failures(body=True))
async def store_bulk(
    body: requests.StoreBulkRequest, context: NamedContext, key: KeyHeader
) -> JsonAnswer:
    """Store many memories. Each is stored by itself; those that could not be are listed."""
    memories = [
        wire.new_memory(
            wire.coordinate(item.coord, field=f"items[{place}].coord"),
            item.payload,
            type_name=item.type,
            importance=item.importance,
            ttl_seconds=item.ttl_seconds,
            episode=episode_of(item),
            expected_version=item.expected_version,
        )
        for place, item in enumerate(body.items)
    ]
    results = await context.engine.store_many(
        context.namespace_of(body), memories, idempotency_key=key
    )
    _log_failures(results)
    return JsonAnswer(wire.stored_many(results, details=context.visit.sees_details))


@router.post(
    "/delete_many",
    tags=["admin"],
    response_model=PurgedAnswer | PurgedManyAnswer | DeletedManyAnswer,
    responses=failures(errors.InvalidCursorError, body=True),
)
async def delete_many(
    body: requests.DeleteManyRequest, context: NamedContext, key: KeyHeader
) -> JsonAnswer:
    """Delete many memories, at coordinates or picked by a filter; with `dry_run`, count them.

    Coordinates without a memory are passed over. What a filter picks is looked for in
    the truth, `limit` memories at a time: `next_cursor` asks for the next part. With
    `purge`, what is deleted goes with its history, and the answer tells for each store
    what is left.
    """
    namespace = context.namespace_of(body)
    if body.coords is None:
        return JsonAnswer(await _delete_picked(body, context.engine, namespace, key))
    _refuse_to_pick(body)
    coordinates = [
        wire.coordinate(coord, field=f"coords[{place}]") for place, coord in enumerate(body.coords)
    ]
    if body.purge and not body.dry_run:
        purged = await context.engine.purge_many(namespace, coordinates, idempotency_key=key)
        return JsonAnswer(wire_purges.purged(purged))
    return JsonAnswer(
        await delete_at(context.engine, namespace, coordinates, key=key, dry_run=body.dry_run)
    )


def episode_of(body: requests.MemoryBody) -> Episode | None:
    """Return the episode that a body names."""
    if body.episode is None:
        return None
    return Episode(name=body.episode.name, order=body.episode.order)


async def _delete_picked(
    body: requests.DeleteManyRequest,
    engine: MemoryEngine,
    namespace: str,
    key: IdempotencyKey | None,
) -> DeletedManyAnswer:
    picked = Picked(filters=body.filters, type=body.type, limit=body.limit, cursor=body.cursor)
    return await delete_picked(
        engine, namespace, picked, key=key, dry_run=body.dry_run, purge=body.purge
    )


def _log_failures(results: Sequence[Stored | errors.SfmError]) -> None:
    """Tell of what backends could not do, once for all items: the answer may not say why."""
    failures = [one for one in results if isinstance(one, errors.BackendError)]
    if failures:
        first = failures[0]
        log.warning("POST /store_bulk: %d items: %s: %s", len(failures), first.code, first)


def _refuse_to_pick(body: requests.DeleteManyRequest) -> None:
    if body.filters is not None or body.type is not None or body.cursor is not None:
        raise errors.InvalidInputError(
            "Coordinates were given beside something that picks memories.",
            field="coords",
            remedy="Give either coords, or filters and type.",
        )
