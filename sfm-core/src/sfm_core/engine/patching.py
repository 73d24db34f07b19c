"""Changing parts of a memory: what the record says afterwards."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import UnsetType

from sfm_core.engine.inputs import check_episode, check_importance, check_ttl
from sfm_core.errors import InvalidInputError
from sfm_core.model.memory import Episode
from sfm_core.model.patch import EpisodePatch, MemoryPatch, merged
from sfm_core.model.payload import Payload, PayloadLimits, encode_payload
from sfm_core.model.record import MemoryRecord


def check_patch(patch: MemoryPatch, limits: PayloadLimits) -> None:
    """Check what a patch says by itself.

    Args:
        patch: The patch.
        limits: How large a payload may be; a patch of it may not be larger.

    Raises:
        InvalidInputError: A value is not acceptable; the field is named.
    """
    encode_payload(patch.payload, limits)
    if patch.importance is not None:
        check_importance(patch.importance)
    if not isinstance(patch.ttl, UnsetType | None):
        check_ttl(patch.ttl)


def patched(
    record: MemoryRecord,
    payload: Payload,
    patch: MemoryPatch,
    limits: PayloadLimits,
    now: datetime,
) -> MemoryRecord:
    """Return what a record says after a patch.

    Args:
        record: What it says now.
        payload: Its payload, decoded.
        patch: What changes; checked before.
        limits: How large a payload may be.
        now: The time.

    Returns:
        The record of the next version.

    Raises:
        InvalidInputError: What would come out is not acceptable.
    """
    changed = record
    if patch.payload:
        encoded = encode_payload(merged(payload, patch.payload), limits)
        changed = msgspec.structs.replace(changed, payload=msgspec.Raw(encoded))
    if not isinstance(patch.ttl, UnsetType):
        ends = None if patch.ttl is None else now + patch.ttl
        changed = msgspec.structs.replace(changed, expires_at=ends)
    if not isinstance(patch.episode, UnsetType):
        changed = msgspec.structs.replace(changed, episode=_episode(record.episode, patch.episode))
    return msgspec.structs.replace(
        changed,
        type=patch.type or record.type,
        importance=record.importance if patch.importance is None else float(patch.importance),
        updated_at=now,
    )


def _episode(before: Episode | None, patch: EpisodePatch | None) -> Episode | None:
    if patch is None:
        return None
    kept = EpisodePatch() if before is None else EpisodePatch(name=before.name, order=before.order)
    name = kept.name if patch.name is None else patch.name
    order = kept.order if patch.order is None else patch.order
    if name is None or order is None:
        raise InvalidInputError(
            "episode needs both name and order, since the memory belongs to none.",
            field="episode",
            remedy="Send both, or null to leave it out of any episode.",
        )
    return check_episode(Episode(name=name, order=order))
