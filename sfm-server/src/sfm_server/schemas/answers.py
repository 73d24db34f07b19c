"""Bodies of answers.

Plain dataclasses: `msgspec` encodes and decodes them without a model per
record, and the OpenAPI document is made from them. A field may be added later,
so readers should ignore what they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sfm_server.schemas.collections import CollectionAnswer

TypeName = Literal["episodic", "semantic"]
Json = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The request was carried out."""

    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """A memory that was stored.

    Attributes:
        coord: Where it lives.
        version: The version that was written.
        indexed: Whether recall sees it already; if not, it will soon.
        ok: Always true.
    """

    coord: str
    version: int
    indexed: bool
    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    """An item of a bulk request that was left out.

    Attributes:
        item: Its place in the request, from 0.
        code: Stable code of the error.
        message: What is wrong with it.
    """

    item: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredManyAnswer:
    """Memories that were stored.

    Attributes:
        stored: How many.
        results: One entry per item, in order; null where it was left out.
        errors: Why items were left out.
    """

    stored: int
    results: list[StoredAnswer | None]
    errors: list[ItemError] = field(default_factory=list[ItemError])


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeAnswer:
    """Membership in a course of events."""

    name: str
    order: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAnswer:
    """A memory.

    Attributes:
        namespace: The namespace it lives in.
        coord: Where it lives there.
        payload: What was stored.
        type: Kind of memory.
        importance: 0 to 1.
        version: 1 at first, one more at each write.
        created_at: When it was first stored.
        updated_at: When this version was written.
        expires_at: When it ceases to exist, or null.
        episode: The course of events it belongs to, or null.
        access_count: How often it was read or recalled; null where that was not asked for.
        last_accessed_at: When that last happened, or null.
    """

    namespace: str
    coord: str
    payload: Json
    type: TypeName
    importance: float
    version: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    episode: EpisodeAnswer | None = None
    access_count: int | None = None
    last_accessed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAnswer:
    """Versions of a memory, the newest first."""

    versions: list[MemoryAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedAnswer:
    """How many memories were deleted."""

    deleted: int
    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchesAnswer:
    """Payloads of the memories that answer a query, the best first."""

    matches: list[Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesAnswer:
    """One list of payloads per query, in the order of the queries."""

    batches: list[list[Json]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredMemory:
    """A memory that answers a query.

    Attributes:
        payload: What was stored.
        score: 0 to 1, higher is better.
        coord: Where it lives.
        type: Kind of memory.
        version: The version that was recalled.
        created_at: When it was first stored.
        parts: What the score is made of; null unless asked for with `explain`.
    """

    payload: Json
    score: float
    coord: str
    type: TypeName
    version: int
    created_at: datetime
    parts: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsAnswer:
    """Memories that answer a query, the best first."""

    results: list[ScoredMemory]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordsAnswer:
    """Coordinates in a range, in ascending order."""

    coords: list[str]


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
    """

    scheme: str
    ok: bool
    latency_seconds: float
    error: str = ""
    without: Literal["degraded", "unusable"] = "degraded"
    lag_seconds: float | None = None
    backlog: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAnswer:
    """A flag per store, and more of each under `ports`.

    Attributes:
        ok: Whether every backend answered.
        status: "ok"; "degraded" where a backend does not answer without which
            the service goes on; "unusable" where the truth does not.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AliveAnswer:
    """The process answers; no backend was asked."""

    status: Literal["ok"] = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAnswer:
    """Requests can be served.

    Attributes:
        status: "ok", or "degraded" where a backend other than the truth does not answer.
        down: The ports that do not answer.
    """

    status: Literal["ok", "degraded"]
    down: list[str]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LineErrorAnswer:
    """A line of an import that was left out, its number from 1."""

    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportAnswer:
    """What an import did.

    Attributes:
        imported: Memories that are there now.
        links: Links that are there now.
        failed: Lines that were left out.
        errors: The first of them, with the reason.
    """

    imported: int
    links: int
    failed: int
    errors: list[LineErrorAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportAnswer:
    """Lines that were written to a file of the export folder, and its path there."""

    exported: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildAnswer:
    """Memories that were indexed anew."""

    rebuilt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAnswer:
    """How the derived stores compare with the truth.

    Attributes:
        consistent: Whether no difference was found.
        memories: Live memories in the truth.
        links: Live links in the truth.
        missing: Memories without a point.
        stale: Points of another version than their memory's.
        orphans: Points without a memory.
        links_missing: Links without an edge.
        links_orphaned: Edges without a link.
        counters_wrong: Counters that do not say what the truth holds.
        repaired: Whether the differences were put right.
    """

    consistent: bool
    memories: int
    links: int
    missing: int
    stale: int
    orphans: int
    links_missing: int
    links_orphaned: int
    counters_wrong: int
    repaired: bool
