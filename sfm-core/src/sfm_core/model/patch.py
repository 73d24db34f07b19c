"""Changes of a memory that leave the rest of it as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from msgspec import UNSET, UnsetType

from sfm_core.model.memory import MemoryType
from sfm_core.model.payload import JsonValue, Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodePatch:
    """What changes about the membership in a course of events; `None` stays as it is.

    Attributes:
        name: Name of the episode.
        order: Place inside the episode.
    """

    name: str | None = None
    order: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPatch:
    """What changes about a memory. Whatever is left out stays as it is.

    Attributes:
        payload: JSON Merge Patch (RFC 7396) of the payload: members that are
            `None` are removed, objects are merged, anything else is replaced.
        type: Kind of memory.
        importance: 0 to 1.
        ttl: How long it is to live from now on; `None` is for ever.
        episode: The course of events it belongs to; `None` takes it out.
    """

    payload: Payload = field(default_factory=dict[str, JsonValue])
    type: MemoryType | None = None
    importance: float | None = None
    ttl: timedelta | UnsetType | None = UNSET
    episode: EpisodePatch | UnsetType | None = UNSET


def merged(target: Payload, patch: Payload) -> dict[str, JsonValue]:
    """Apply a JSON Merge Patch to an object.

    Args:
        target: The object; it is not changed.
        patch: What changes, no deeper than a payload may be.

    Returns:
        The object as it is afterwards.
    """
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            before = result.get(name)
            inside: Payload = before if isinstance(before, Mapping) else {}
            result[name] = merged(inside, value)
        else:
            result[name] = value
    return result
