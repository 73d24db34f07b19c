"""One truth takes over from another, and nothing is lost on the way."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from sfm_core.clock import Clock
from sfm_core.engine.catalog import distrust_derived_stores
from sfm_core.engine.copying import Progress, copy_entries, copy_events, verify
from sfm_core.engine.lineage import KnownTruth, Relation
from sfm_core.engine.locking import locked
from sfm_core.engine.manifest import (
    Manifest,
    Successor,
    change_manifest,
    peek_manifest,
    read_manifest,
)
from sfm_core.engine.presence import wait_until_quiet
from sfm_core.errors import BackendUnavailableError
from sfm_core.model.report import MigrationReport

log = logging.getLogger(__name__)

_LOCK = "succession"


async def take_over(
    source: KnownTruth,
    target: KnownTruth,
    clock: Clock,
    owner: str,
    *,
    lease: timedelta,
    progress: Progress | None = None,
) -> MigrationReport:
    """Make a truth hold exactly what another one holds, and be the newest from then on.

    Engines that still run on the source take no more writes. Interrupted at
    any point, the next call goes on; until the end the source can be
    reclaimed.

    Args:
        source: The truth to copy.
        target: The truth to change; what it holds beyond the source is removed.
        clock: Source of time.
        owner: Who does it.
        lease: How long others wait for this process where it is killed.
        progress: Told how many entries were dealt with.

    Returns:
        What was done.

    Raises:
        CorruptDataError: The copy is not equal to the original.
        BackendError: A truth failed, the target is written by others, or the
            source was reclaimed meanwhile.
    """
    async with locked(target.kv, clock, owner, _LOCK, lease=lease):
        old = await read_manifest(source.kv, owner)
        new = await read_manifest(target.kv, owner)
        if new.lineage.get(old.truth_id) == old.epoch and new.taking_over is None:
            # Another process has done it while this one waited for the lock.
            return MigrationReport(source=source.place, target=target.place)
        epoch = max(old.epoch, new.epoch) + 1
        successor = Successor(truth_id=new.truth_id, epoch=epoch, place=target.place)
        await _change(target, owner, taking_over=old.truth_id)
        await _change(source, owner, superseded_by=successor)
        await wait_until_quiet(source.kv, clock, owner)
        events = await copy_events(source.kv, target.kv, owner)
        copied = await copy_entries(source.kv, target.kv, owner, progress=progress)
        verified = await verify(source.kv, target.kv, progress)
        await _refuse_if_reclaimed(source, successor)
        await distrust_derived_stores(target.kv, owner)
        await _change(
            target,
            owner,
            epoch=epoch,
            lineage=_lineage(old, new.truth_id),
            taking_over=None,
            superseded_by=None,
        )
    return MigrationReport(
        source=source.place,
        target=target.place,
        written=copied.written,
        removed=copied.removed,
        unchanged=copied.unchanged,
        events=events,
        verified=verified,
    )


async def reclaim(
    truth: KnownTruth, owner: str, *, passing_over: Iterable[KnownTruth] = ()
) -> Manifest:
    """Declare that a truth goes on as it is, whatever others hold.

    Args:
        truth: The truth.
        owner: Who says so.
        passing_over: Other truths that it is to go on without, as they are now.

    Returns:
        Its manifest from then on.

    Raises:
        BackendError: The truth failed.
    """
    passed_over = {
        other.manifest.truth_id: other.manifest.epoch for other in passing_over if other.manifest
    }

    def change(manifest: Manifest) -> Manifest:
        above = manifest.superseded_by.epoch if manifest.superseded_by else 0
        return msgspec.structs.replace(
            manifest,
            superseded_by=None,
            taking_over=None,
            epoch=max(above, manifest.epoch) + 1,
            passed_over={**manifest.passed_over, **passed_over},
        )

    return await change_manifest(truth.kv, owner, change)


async def call_off(
    unfinished: KnownTruth, truth: KnownTruth, clock: Clock, owner: str, *, lease: timedelta
) -> None:
    """Reclaim a truth from one that never finished taking over from it.

    Does nothing where that has finished once no process is at it any more.

    Args:
        unfinished: The truth that was to take over.
        truth: The truth to reclaim.
        clock: Source of time.
        owner: Who does it.
        lease: How long others wait for this process where it is killed.

    Raises:
        BackendError: A truth failed.
    """
    async with locked(unfinished.kv, clock, owner, _LOCK, lease=lease):
        manifest = await peek_manifest(unfinished.kv)
        if manifest and truth.manifest and manifest.lineage.get(truth.manifest.truth_id):
            now = KnownTruth(
                place=unfinished.place, kv=unfinished.kv, manifest=manifest, empty=False
            )
            if now.relation_to(truth) is Relation.HOLDS_IT:
                return
        log.warning("%s never finished taking over from %s", unfinished.place, truth.place)
        await reclaim(truth, owner)


async def _refuse_if_reclaimed(source: KnownTruth, successor: Successor) -> None:
    manifest = await peek_manifest(source.kv)
    if manifest is None or manifest.superseded_by != successor:
        raise BackendUnavailableError(
            f"{source.place} has been put to use again while it was copied.",
            backend=source.kv.scheme,
            remedy="Stop the servers that run on it, and start again.",
        )


async def _change(truth: KnownTruth, owner: str, **fields: object) -> None:
    await change_manifest(
        truth.kv, owner, lambda manifest: msgspec.structs.replace(manifest, **fields)
    )


def _lineage(old: Manifest, without: str) -> dict[str, int]:
    """Return what a copy of a truth holds: all that the truth held, and the truth itself."""
    known = {**old.lineage, old.truth_id: old.epoch}
    return {truth_id: epoch for truth_id, epoch in known.items() if truth_id != without}
