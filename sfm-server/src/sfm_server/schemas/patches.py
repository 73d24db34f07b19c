"""The body that changes parts of a memory, and what it means."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from msgspec import UNSET
from pydantic import Field

from sfm_core.model.memory import MemoryType
from sfm_core.model.patch import EpisodePatch, MemoryPatch
from sfm_core.model.payload import Payload
from sfm_server.schemas.body import Body
from sfm_server.schemas.requests import MAX_TTL_SECONDS, Importance, Name, Object, Request, Version
from sfm_server.schemas.values import TypeName

_TYPE: TypeName = "episodic"
_IMPORTANCE = 0.5


class EpisodePatchBody(Body):
    """What changes about the membership in a course of events."""

    name: Name | None = Field(default=None, description="Name of the episode.")
    order: float | None = Field(default=None, description="Place inside the episode.")


class PatchRequest(Request):
    """Change parts of a memory: null removes, what is left out stays."""

    payload: Object = Field(
        default_factory=dict[str, object],
        description="JSON Merge Patch of the payload: members that are null are removed, "
        "objects are merged, anything else is replaced.",
        examples=[{"text": "Anna moved to Bergen.", "draft": None}],
    )
    type: TypeName | None = Field(default=None, description="Kind of memory; null: episodic.")
    importance: Importance | None = Field(
        default=None, description="0 (trivial) to 1 (vital); null: 0.5."
    )
    ttl_seconds: float | None = Field(
        default=None,
        gt=0,
        le=MAX_TTL_SECONDS,
        description="How long it is to live from now on; null: for ever.",
    )
    episode: EpisodePatchBody | None = Field(
        default=None, description="The course of events it belongs to; null: none."
    )
    expected_version: Version = None


def patch_of(body: PatchRequest) -> MemoryPatch:
    """Return what a body changes."""
    said = body.model_fields_set
    episode, ttl = body.episode, body.ttl_seconds
    return MemoryPatch(
        # The engine checks every value of it.
        payload=cast(Payload, body.payload),
        type=MemoryType(body.type or _TYPE) if "type" in said else None,
        importance=_importance(body) if "importance" in said else None,
        ttl=UNSET
        if "ttl_seconds" not in said
        else (None if ttl is None else timedelta(seconds=ttl)),
        episode=UNSET
        if "episode" not in said
        else (None if episode is None else EpisodePatch(name=episode.name, order=episode.order)),
    )


def _importance(body: PatchRequest) -> float:
    return _IMPORTANCE if body.importance is None else body.importance
