"""Memories and links as JSON documents: in exports and in events."""

from __future__ import annotations

from sfm_core.model.coordinate import EXACT_WHOLE, Coordinate
from sfm_core.model.link import Link
from sfm_core.model.memory import AccessStatistics, Memory
from sfm_core.model.payload import JsonValue

FORMAT = "somafractalmemory"
FORMAT_VERSION = 1

MEMORY_LINE = b'{"kind":"memory",'
"""How the line of each memory begins, and no other line."""


def memory_document(memory: Memory, access: AccessStatistics | None = None) -> dict[str, JsonValue]:
    """Describe a memory; fields at their default are left out.

    Args:
        memory: What to describe.
        access: How often it was read, if that is to be told.

    Returns:
        A JSON object from which the memory can be made again.
    """
    document: dict[str, JsonValue] = {
        "kind": "memory",
        "namespace": memory.namespace,
        "coord": numbers(memory.coordinate),
        "type": memory.type.value,
        "payload": memory.payload,
        "importance": memory.importance,
        "version": memory.version,
        "created_at": memory.created_at.isoformat(),
        "updated_at": memory.updated_at.isoformat(),
    }
    if memory.expires_at is not None:
        document["expires_at"] = memory.expires_at.isoformat()
    if memory.episode is not None:
        document["episode"] = {"name": memory.episode.name, "order": memory.episode.order}
    if access is not None and access.count:
        document["access_count"] = access.count
        if access.last_accessed_at is not None:
            document["last_accessed_at"] = access.last_accessed_at.isoformat()
    return document


def history_document(memory: Memory) -> dict[str, JsonValue]:
    """Describe a version of a memory that was replaced.

    Args:
        memory: That version.

    Returns:
        A JSON object from which the version can be made again.
    """
    return memory_document(memory) | {"kind": "history"}


def link_document(namespace: str, link: Link) -> dict[str, JsonValue]:
    """Describe a link.

    Args:
        namespace: Where it is.
        link: What to describe.

    Returns:
        A JSON object from which the link can be made again.
    """
    return {
        "kind": "link",
        "namespace": namespace,
        "from_coord": numbers(link.source),
        "to_coord": numbers(link.target),
        "type": link.type,
        "weight": link.weight,
        "version": link.version,
        "updated_at": link.updated_at.isoformat(),
    }


def numbers(coordinate: Coordinate) -> list[float | int]:
    """Return the components, whole numbers without a fraction."""
    return [
        int(number) if number.is_integer() and abs(number) < EXACT_WHOLE else number
        for number in coordinate.components
    ]
