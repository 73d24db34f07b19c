"""Turns values of the core into bodies of answers, and parts of requests into values."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

from sfm_core.errors import BackendError, InvalidInputError, NotFoundError, SfmError
from sfm_core.model.cloudevents import cloudevent
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import EventPage
from sfm_core.model.filters import parse_filter
from sfm_core.model.memory import AccessStatistics, Episode, Memory, MemoryType, NewMemory
from sfm_core.model.payload import Payload
from sfm_core.model.position import joined
from sfm_core.model.query import RecallQuery
from sfm_core.model.report import (
    CheckReport,
    CollectionState,
    Health,
    ImportReport,
    PortHealth,
    Removed,
    ReplayReport,
    Stats,
    Stored,
)
from sfm_core.registry import PortName
from sfm_server.problems import WITHHELD
from sfm_server.schemas.admin import CheckAnswer, ImportAnswer, LineErrorAnswer
from sfm_server.schemas.collections import CollectionAnswer, CollectionRole
from sfm_server.schemas.events import EventsAnswer, ReplayAnswer
from sfm_server.schemas.memories import (
    DeletedAnswer,
    EpisodeAnswer,
    ItemError,
    MemoryAnswer,
    StoredAnswer,
    StoredItem,
    StoredManyAnswer,
)
from sfm_server.schemas.system import HealthAnswer, PortAnswer, StatsAnswer

ARMS: Mapping[str, frozenset[str]] = {
    "hybrid": frozenset({"dense", "keyword"}),
    "dense": frozenset({"dense"}),
    "keyword": frozenset({"keyword"}),
}


def coordinate(source: str | Sequence[float], *, field: str = "coord") -> Coordinate:
    """Read a coordinate in either of its forms.

    Args:
        source: Text such as "1.5,2,-3", or numbers.
        field: Name to use in the error message.

    Returns:
        The coordinate.

    Raises:
        InvalidCoordinateError: It is malformed.
    """
    if isinstance(source, str):
        return Coordinate.parse(source, field=field)
    return Coordinate.of(source, field=field)


def moment(text: str, *, field: str) -> datetime:
    """Read a time.

    Args:
        text: ISO 8601, such as "2026-02-03T04:05:06Z", or a date; without an offset it is UTC.
        field: Name to use in the error message.

    Returns:
        The time, with its offset.

    Raises:
        InvalidInputError: It is malformed.
    """
    try:
        read = datetime.fromisoformat(text)
        # Near the ends of the calendar, a time may be none in UTC.
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(
            f"{field} {text[:80]!r} is no time.",
            field=field,
            remedy="Write it as ISO 8601, such as 2026-02-03T04:05:06Z.",
        ) from error


def moment_or_none(text: str | None, *, field: str) -> datetime | None:
    """Read a time, if there is one; see `moment`."""
    return None if text is None else moment(text, field=field)


def new_memory(
    at: Coordinate,
    payload: Mapping[str, object],
    *,
    type_name: str = "episodic",
    importance: float | None = None,
    ttl_seconds: float | None = None,
    episode: Episode | None = None,
    expected_version: int | None = None,
) -> NewMemory:
    """Return a memory to store."""
    return NewMemory(
        coordinate=at,
        # The engine checks every value of it.
        payload=cast(Payload, payload),
        type=MemoryType(type_name),
        importance=importance,
        ttl=None if ttl_seconds is None else timedelta(seconds=ttl_seconds),
        episode=episode,
        expected_version=expected_version,
    )


def recall_query(
    text: str,
    *,
    top_k: int,
    type_name: str | None = None,
    filters: object = None,
    context: object = "",
    arms: str = "hybrid",
    as_of: str | None = None,
) -> RecallQuery:
    """Return a query to recall with.

    Args:
        text: The question.
        top_k: How many memories at most.
        type_name: Only memories of this type.
        filters: JSON form of a filter, or `None`.
        context: Text, or a JSON object whose values are read.
        arms: A key of `ARMS`.
        as_of: A time, in RFC 3339.

    Returns:
        The query.

    Raises:
        InvalidFilterError: The filter is malformed.
        InvalidInputError: The time is malformed.
    """
    return RecallQuery(
        text=text,
        top_k=top_k,
        type=None if type_name is None else MemoryType(type_name),
        filter=parse_filter(filters),
        context=" ".join(_texts(context)),
        arms=ARMS[arms],
        as_of=moment_or_none(as_of, field="as_of"),
    )


def need(found: bool, what: str) -> None:  # noqa: FBT001 - reads like a sentence
    """Insist that something was found.

    Args:
        found: Whether it was.
        what: What it is.

    Raises:
        NotFoundError: It was not.
    """
    if not found:
        raise NotFoundError(f"There is no {what}.", remedy="Check namespace and coordinates.")


def stored(result: Stored) -> StoredAnswer:
    """Describe a write."""
    return StoredAnswer(
        coord=str(result.coordinate),
        version=result.version,
        indexed=result.indexed,
        position=str(result.position),
    )


def stored_many(results: Sequence[Stored | SfmError], *, details: bool = True) -> StoredManyAnswer:
    """Describe the writes of a bulk request.

    Args:
        results: What became of each.
        details: Whether the caller may see what backends say.

    Returns:
        The body of the answer.
    """
    there = [result for result in results if isinstance(result, Stored)]
    return StoredManyAnswer(
        stored=len(there),
        results=[_item(result) if isinstance(result, Stored) else None for result in results],
        errors=[
            ItemError(item=place, code=result.code, message=_told(result, details=details))
            for place, result in enumerate(results)
            if isinstance(result, SfmError)
        ],
        position=joined(result.position for result in there),
    )


def _told(error: SfmError, *, details: bool) -> str:
    return str(error) if details or not isinstance(error, BackendError) else WITHHELD


def deleted(result: Removed) -> DeletedAnswer:
    """Describe deletions."""
    return DeletedAnswer(deleted=result.count, position=str(result.position))


def memory(source: Memory, access: AccessStatistics | None = None) -> MemoryAnswer:
    """Describe a memory, with how often it was accessed where that is known."""
    episode = source.episode
    return MemoryAnswer(
        namespace=source.namespace,
        coord=str(source.coordinate),
        payload=source.payload,
        type=source.type.value,
        importance=source.importance,
        version=source.version,
        created_at=source.created_at,
        updated_at=source.updated_at,
        expires_at=source.expires_at,
        episode=None if episode is None else EpisodeAnswer(name=episode.name, order=episode.order),
        access_count=None if access is None else access.count,
        last_accessed_at=None if access is None else access.last_accessed_at,
    )


def stats(namespace: str, source: Stats, namespaces: list[str]) -> StatsAnswer:
    """Describe how much a namespace holds."""
    return StatsAnswer(
        namespace=namespace,
        total_memories=source.total_memories,
        episodic=source.episodic,
        semantic=source.semantic,
        links=source.links,
        namespaces=namespaces,
    )


def import_report(source: ImportReport) -> ImportAnswer:
    """Describe what an import did."""
    return ImportAnswer(
        imported=source.imported,
        links=source.links,
        failed=source.failed,
        errors=[LineErrorAnswer(line=error.line, message=error.message) for error in source.errors],
        expired=source.expired,
        passed_over=source.passed_over,
    )


def events(source: EventPage) -> EventsAnswer:
    """Describe a part of the event log."""
    return EventsAnswer(
        events=[dict[str, object](cloudevent(one.event)) for one in source.events],
        position=source.position,
        more=source.more,
    )


def replay_report(source: ReplayReport) -> ReplayAnswer:
    """Describe what was told again."""
    return ReplayAnswer(
        events=source.memories + source.links, memories=source.memories, links=source.links
    )


def check_report(source: CheckReport) -> CheckAnswer:
    """Describe how the derived stores compare with the truth."""
    return CheckAnswer(
        consistent=source.consistent,
        memories=source.memories,
        links=source.links,
        missing=source.missing,
        stale=source.stale,
        orphans=source.orphans,
        links_missing=source.links_missing,
        links_orphaned=source.links_orphaned,
        counters_wrong=source.counters_wrong,
        repaired=source.repaired,
    )


def health(source: Health) -> HealthAnswer:
    """Describe how the engine and its backends do."""
    ports = {str(name): _port(port) for name, port in source.ports.items()}

    def answered(port: PortName) -> bool:
        return port in source.ports and source.ports[port].ok

    return HealthAnswer(
        ok=source.ok,
        status=_status(source),
        kv_store=answered(PortName.KV),
        vector_store=answered(PortName.VECTOR),
        graph_store=answered(PortName.GRAPH),
        cache=answered(PortName.CACHE),
        embedder=answered(PortName.EMBEDDER),
        events=answered(PortName.EVENTS) if PortName.EVENTS in source.ports else None,
        ports=ports,
        outbox_depth=source.outbox_depth,
        outbox_oldest_at=source.outbox_oldest_at,
        rebuilding=source.rebuilding,
        collections=[collection(state) for state in source.collections],
        indexing=source.indexing,
        hint=source.hint,
    )


def collection(source: CollectionState) -> CollectionAnswer:
    """Describe a collection of the vector store."""
    return CollectionAnswer(
        name=source.name,
        role=cast(CollectionRole, source.role),
        embedder=source.embedder,
        dimension=source.dimension,
        complete=source.complete,
        since=source.since,
        done=source.done,
        total=source.total,
        failures=source.failures,
        error=source.error,
        chosen=source.chosen,
        unusable=source.unusable,
    )


def _item(result: Stored) -> StoredItem:
    return StoredItem(coord=str(result.coordinate), version=result.version, indexed=result.indexed)


def _status(source: Health) -> Literal["ok", "degraded", "unusable"]:
    if not source.usable:
        return "unusable"
    return "ok" if source.ok and not source.hint else "degraded"


def _port(source: PortHealth) -> PortAnswer:
    return PortAnswer(
        scheme=source.scheme,
        ok=source.ok,
        latency_seconds=source.latency.total_seconds(),
        error=source.error,
        without="unusable" if source.vital else "degraded",
        lag_seconds=None if source.lag is None else source.lag.total_seconds(),
        backlog=source.backlog,
        superseded_by=source.superseded_by,
    )


def _texts(source: object) -> Iterator[str]:
    """Go through the text of a JSON value, level by level, so that no nesting is too deep."""
    pending = deque([source])
    while pending:
        value = pending.popleft()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            pending.extend(cast(Mapping[str, object], value).values())
        elif isinstance(value, list):
            pending.extend(cast(list[object], value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield str(value)
