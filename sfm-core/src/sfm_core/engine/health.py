"""Asking every backend how it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from sfm_core.engine.lag import event_lag
from sfm_core.engine.presence import Presence
from sfm_core.engine.stores import Stores
from sfm_core.engine.view import View
from sfm_core.errors import SfmError
from sfm_core.model.report import CollectionState, EventLag, Health, PortHealth
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import PortName

AnswerT = TypeVar("AnswerT")

PATIENCE = timedelta(seconds=2)
"""How long a backend may take to answer before it counts as down."""


async def check_health(
    stores: Stores, view: View, collections: tuple[CollectionState, ...], presence: Presence
) -> Health:
    """Ping every backend at once.

    Args:
        stores: The backends.
        view: What the engine searches.
        collections: The collections it knows of.
        presence: Knows what has taken over from the truth.

    Returns:
        One entry per port, and how far derived stores are behind. Never raises
        for a backend that is down: that is what it tells.
    """
    backends: dict[PortName, Backend] = {
        PortName.KV: stores.kv,
        PortName.VECTOR: stores.vector,
        PortName.GRAPH: stores.graph,
        PortName.CACHE: stores.cache,
        PortName.EMBEDDER: view.searched.embedder,
    }
    if stores.sink is not None:
        backends[PortName.EVENTS] = stores.sink
    answers, outbox, behind = await asyncio.gather(
        asyncio.gather(*(_ping(stores, backend) for backend in backends.values())),
        _patiently(stores.kv.outbox_status()),
        _patiently(event_lag(stores)),
    )
    ports = dict(zip(backends, answers, strict=True))
    place = presence.successor.place if presence.successor else ""
    ports[PortName.KV] = replace(ports[PortName.KV], vital=True, superseded_by=place)
    hint = ""
    if outbox is not None:
        lag = _age(stores, outbox.oldest_at)
        hint = _hint(stores, outbox.depth, lag)
        for follower in (PortName.VECTOR, PortName.GRAPH):
            ports[follower] = replace(ports[follower], lag=lag, backlog=outbox.depth)
    if behind is not None:
        ports[PortName.EVENTS] = _behind(stores, ports[PortName.EVENTS], behind)
    return Health(
        ports={str(name): port for name, port in ports.items()},
        outbox_depth=outbox.depth if outbox else None,
        outbox_oldest_at=outbox.oldest_at if outbox else None,
        rebuilding=view.rebuilding,
        collections=collections,
        indexing=stores.settings.indexing.value,
        hint=hint,
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


def _hint(stores: Stores, depth: int, lag: timedelta) -> str:
    """Say what to look after where those who wait for the index wait in vain."""
    if stores.settings.inline or lag <= stores.settings.index_wait:
        return ""
    return (
        f"{depth} changes wait to be found by recall, the oldest for {lag.total_seconds():.0f} s: "
        "see that `sfm consumer` runs, with the same stores, and what its log says."
    )


def _behind(stores: Stores, sink: PortHealth, behind: EventLag) -> PortHealth:
    error = sink.error or behind.trouble
    lag = _age(stores, behind.oldest_at)
    return replace(sink, ok=not error, error=error, lag=lag, backlog=behind.count)


def _age(stores: Stores, since: datetime | None) -> timedelta:
    """Return how long ago something was; clocks of two machines may disagree a little."""
    return timedelta() if since is None else max(timedelta(), stores.clock.now() - since)


async def _patiently(question: Awaitable[AnswerT]) -> AnswerT | None:
    """Ask the truth something; `None` where it does not answer, which its own entry says."""
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            return await question
    except (TimeoutError, SfmError):
        return None
