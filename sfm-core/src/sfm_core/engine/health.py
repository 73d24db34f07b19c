"""Asking every backend how it does."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sfm_core.engine.stores import Stores
from sfm_core.errors import SfmError
from sfm_core.model.report import Health, PortHealth
from sfm_core.protocols.kv import OutboxStatus
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import PortName

PATIENCE = timedelta(seconds=2)
"""How long a backend may take to answer before it counts as down."""


async def check_health(stores: Stores, *, rebuilding: bool) -> Health:
    """Ping every backend at once.

    Args:
        stores: The backends.
        rebuilding: Whether a collection is being built.

    Returns:
        One entry per port, and how far derived stores are behind. Never raises
        for a backend that is down: that is what it tells.
    """
    backends: dict[PortName, Backend] = {
        PortName.KV: stores.kv,
        PortName.VECTOR: stores.vector,
        PortName.GRAPH: stores.graph,
        PortName.CACHE: stores.cache,
        PortName.EMBEDDER: stores.embedder,
    }
    if stores.sink is not None:
        backends[PortName.EVENTS] = stores.sink
    answers = await asyncio.gather(*(_ping(stores, backend) for backend in backends.values()))
    outbox = await _outbox(stores)
    return Health(
        ports=dict(zip(map(str, backends), answers, strict=True)),
        outbox_depth=outbox.depth if outbox else None,
        outbox_oldest_at=outbox.oldest_at if outbox else None,
        rebuilding=rebuilding,
    )


async def _ping(stores: Stores, backend: Backend) -> PortHealth:
    start = stores.clock.monotonic()
    error = ""
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await backend.ping()
    except TimeoutError:
        error = f"no answer within {PATIENCE.total_seconds():g} s"
    except SfmError as failure:
        error = str(failure)
    latency = timedelta(seconds=stores.clock.monotonic() - start)
    return PortHealth(scheme=backend.scheme, ok=not error, latency=latency, error=error)


async def _outbox(stores: Stores) -> OutboxStatus | None:
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            return await stores.kv.outbox_status()
    except (TimeoutError, SfmError):
        # The truth's own entry says that it does not answer.
        return None
