"""Answers about the server and how it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sfm_server.schemas.collections import CollectionAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsAnswer:
    """How much a namespace holds.

    Attributes:
        namespace: The namespace.
        total_memories: All memories.
        episodic: Those of type episodic.
        semantic: Those of type semantic.
        links: All links.
        namespaces: Every namespace that holds something.
    """

    namespace: str
    total_memories: int
    episodic: int
    semantic: int
    links: int
    namespaces: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortAnswer:
    """How one backend does.

    Attributes:
        scheme: URL scheme of the backend.
        ok: Whether it answered.
        latency_seconds: How long it took.
        error: Why it did not answer, or "".
        without: How the service is without it: "degraded", where what needs
            it fails or waits and the rest goes on, or "unusable".
        lag_seconds: For how long the oldest change has waited to reach it;
            null where nothing follows the truth there, or that is unknown.
        backlog: How many changes wait to reach it; null where unknown.
        superseded_by: Of the truth: where the one is that has taken over, so
            that this one takes no more writes; "" where none has.
    """

    scheme: str
    ok: bool
    latency_seconds: float
    error: str = ""
    without: Literal["degraded", "unusable"] = "degraded"
    lag_seconds: float | None = None
    backlog: int | None = None
    superseded_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAnswer:
    """A flag per store, and more of each under `ports`.

    Attributes:
        ok: Whether every backend answered.
        status: "ok"; "degraded" where a backend does not answer without which
            the service goes on, or where there is a hint; "unusable" where the
            truth does not answer.
        kv_store: Whether the truth answered.
        vector_store: Whether the vector store answered.
        graph_store: Whether the graph store answered.
        cache: Whether the cache answered.
        embedder: Whether the embedder answered.
        events: Whether the event sink answered; null where there is none.
        ports: Each backend, by port.
        outbox_depth: Keys that derived stores still have to follow; null if unknown.
        outbox_oldest_at: Since when the oldest of them waits, or null.
        rebuilding: Whether a derived store is being built or compared anew.
        collections: The collections of the vector store, those that are being
            built with their progress.
        indexing: Who has the index follow writes: "inline", this server itself,
            or "evented", the consumer.
        hint: What to see to where the consumer is too far behind, or "".
    """

    ok: bool
    status: Literal["ok", "degraded", "unusable"]
    kv_store: bool
    vector_store: bool
    graph_store: bool
    cache: bool
    embedder: bool
    events: bool | None
    ports: Mapping[str, PortAnswer]
    outbox_depth: int | None = None
    outbox_oldest_at: datetime | None = None
    rebuilding: bool = False
    collections: list[CollectionAnswer] = field(default_factory=list[CollectionAnswer])
    indexing: str = "inline"
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AliveAnswer:
    """The process answers; no backend was asked."""

    status: Literal["ok"] = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAnswer:
    """Requests can be served.

    Attributes:
        status: "ok", or "degraded" where a backend other than the truth does not
            answer, where there is a hint, or where a plugin is in quarantine.
        down: The ports that do not answer.
        hint: What to see to where the consumer is too far behind, or "".
        quarantined: The plugins that are installed and cannot be used;
            `sfm plugins` says why.
    """

    status: Literal["ok", "degraded"]
    down: list[str]
    hint: str = ""
    quarantined: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAnswer:
    """What this service is.

    Attributes:
        name: Name of the product.
        version: Its version.
        mode: The mode it runs in.
        docs: Path of the interactive documentation.
        openapi: Path of the OpenAPI document.
    """

    name: str
    version: str
    mode: str
    docs: str
    openapi: str
