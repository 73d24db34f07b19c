"""Events as an engine publishes them, with all their data."""

from __future__ import annotations

from dataclasses import replace

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import Event, EventType, event_id
from sfm_core.model.keys import link_key, memory_key
from sfm_core.model.payload import JsonValue, Payload
from sfm_core.testing.samples import MOMENT

LINK_TYPE = "related"


def memory_stored(
    namespace: str, where: Coordinate, version: int = 1, payload: Payload | None = None
) -> Event:
    """Return the event of a memory that lives since its first version."""
    data = _memory(namespace, where, version) | {"payload": payload or {}, "importance": 0.5}
    return Event(
        id=event_id(namespace, memory_key(where), version),
        type=EventType.MEMORY_STORED,
        source=f"/namespaces/{namespace}",
        subject=str(where),
        time=MOMENT,
        version=version,
        data=data,
    )


def memory_deleted(namespace: str, where: Coordinate, version: int = 2) -> Event:
    """Return the event of a memory that has lived until now."""
    return replace(
        memory_stored(namespace, where, version),
        type=EventType.MEMORY_DELETED,
        data=_memory(namespace, where, version),
    )


def link_stored(namespace: str, source: Coordinate, target: Coordinate, version: int = 1) -> Event:
    """Return the event of a link between memories that live since their first versions."""
    data: Payload = {
        "kind": "link",
        "namespace": namespace,
        "from_coord": list(source.components),
        "to_coord": list(target.components),
        "type": LINK_TYPE,
        "weight": 1.0,
        "version": version,
        "updated_at": MOMENT.isoformat(),
        "from_born": 1,
        "to_born": 1,
    }
    return Event(
        id=event_id(namespace, link_key(source, LINK_TYPE, target), version),
        type=EventType.LINK_STORED,
        source=f"/namespaces/{namespace}",
        subject=f"{source}>{LINK_TYPE}>{target}",
        time=MOMENT,
        version=version,
        data=data,
    )


def link_deleted(namespace: str, source: Coordinate, target: Coordinate, version: int = 2) -> Event:
    """Return the event of a link that has been until now."""
    return replace(link_stored(namespace, source, target, version), type=EventType.LINK_DELETED)


def _memory(namespace: str, where: Coordinate, version: int) -> dict[str, JsonValue]:
    return {
        "kind": "memory",
        "namespace": namespace,
        "coord": list(where.components),
        "type": "episodic",
        "version": version,
        "created_at": MOMENT.isoformat(),
        "updated_at": MOMENT.isoformat(),
        "born": 1,
    }
