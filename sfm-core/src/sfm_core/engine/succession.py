"""One truth takes over from another, and nothing is lost on the way."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

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
from sfm_core.errors import BackendUnavailableError, ConfigurationError
from sfm_core.model.report import MigrationReport

log = logging.getLogger(__name__)

LOCK = "succession"
"""Held by who changes what a truth is to others."""
_HOLDS = frozenset({Relation.HOLDS_IT, Relation.SAME})
_NOTHING: Mapping[str, int] = MappingProxyType({})


class OvertakenError(BackendUnavailableError):
    """Another process has changed which truth is the newest since this one looked."""

    def __init__(self, truth: KnownTruth) -> None:
        """Name the truth that is not what it was."""
        super().__init__(
            f"Another process has changed what {truth.place} is to others.",
            backend=truth.kv.scheme,
            remedy="Start the servers of one mode only, and start again.",
        )


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

    Engines that run on either take no more writes, those of the target until
    the end. Interrupted at any point, the next call goes on; until the end the
    source can be given back.

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
        ConfigurationError: The source is itself half copied.
        CorruptDataError: The copy is not equal to the original.
        OvertakenError: One of the truths is not any more what it was when it was opened.
        BackendError: A truth failed, or the target is written by others.
    """
    async with locked(target.kv, clock, owner, LOCK, lease=lease) as lock:
        old, new = await _as_known(source, owner), await _as_known(target, owner)
        refuse_half_copied(source)
        epoch = max(old.epoch, new.epoch) + 1
        successor = Successor(truth_id=new.truth_id, epoch=epoch, place=target.place)
        taken = _with(new, taking_over=old.truth_id, taker=owner, replica=False)
        await _swap(target, owner, new, taken)
        await wait_until_quiet(target.kv, clock, owner)
        await _refuse_if_filled(target, new, owner)
        await _swap(source, owner, old, _with(old, superseded_by=successor))
        await wait_until_quiet(source.kv, clock, owner)
        events = await copy_events(source.kv, target.kv, owner, guard=lock.ensure)
        copied = await copy_entries(
            source.kv, target.kv, owner, guard=lock.ensure, progress=progress
        )
        verified = await verify(source.kv, target.kv, progress)
        await _refuse_if_reclaimed(source, successor)
        await distrust_derived_stores(target.kv, owner)
        await _finish(target, owner, old, epoch)
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
    others = list(passing_over)
    for other in others:
        await forbid_to_finish(other, truth, owner)
    passed_over = {
        other.manifest.truth_id: other.manifest.epoch for other in others if other.manifest
    }
    return await change_manifest(
        truth.kv, owner, lambda manifest: _reclaimed(manifest, passed_over)
    )


async def call_off(
    unfinished: KnownTruth, truth: KnownTruth, clock: Clock, owner: str, *, lease: timedelta
) -> None:
    """Give a truth back that another one never finished taking over from.

    Does nothing where that has finished once no process is at it any more.

    Args:
        unfinished: The truth that was to take over.
        truth: The truth to give back.
        clock: Source of time.
        owner: Who does it.
        lease: How long others wait for this process where it is killed.

    Raises:
        OvertakenError: The truth is not any more what it was when it was opened.
        BackendError: A truth failed.
    """
    async with locked(unfinished.kv, clock, owner, LOCK, lease=lease):
        manifest = await peek_manifest(unfinished.kv)
        if manifest and replace(unfinished, manifest=manifest).relation_to(truth) in _HOLDS:
            return
        log.warning("%s never finished taking over from %s", unfinished.place, truth.place)
        await forbid_to_finish(unfinished, truth, owner)
        known = await _as_known(truth, owner)
        await _swap(truth, owner, known, _reclaimed(known))


async def forbid_to_finish(unfinished: KnownTruth, source: KnownTruth, owner: str) -> None:
    """See that no process that copies a truth to another one, however late, finishes that.

    Args:
        unfinished: The truth that it copies to; still half copied afterwards.
        source: The truth that it copies.
        owner: Who says so.

    Raises:
        BackendError: The truth failed.
    """

    def change(manifest: Manifest) -> Manifest:
        begun = manifest.taking_over is not None and manifest.taking_over == source.truth_id
        return _with(manifest, taker="") if begun else manifest

    if unfinished.manifest is not None:
        await change_manifest(unfinished.kv, owner, change)


def refuse_replica(source: KnownTruth) -> None:
    """Refuse to copy a truth that a consumer fills.

    Args:
        source: The truth to copy.

    Raises:
        ConfigurationError: It is a replica.
    """
    if source.replica:
        raise ConfigurationError(
            f"{source.place} is a replica that a consumer fills from events.",
            remedy="Start from the truth that it follows. If that is lost, stop the consumer and "
            "run `sfm truths --adopt` with the settings of the replica.",
        )


def refuse_half_copied(source: KnownTruth) -> None:
    """Refuse to copy a truth that is itself half copied.

    Args:
        source: The truth to copy.

    Raises:
        ConfigurationError: It is.
    """
    if source.taking_over is not None:
        raise ConfigurationError(
            f"{source.place} is half copied from another truth.",
            remedy="Finish that first, or start from the other one; `sfm truths` shows it.",
        )


async def _as_known(truth: KnownTruth, owner: str) -> Manifest:
    """Read the manifest once more; what was decided by the earlier one has to hold still."""
    manifest = await peek_manifest(truth.kv)
    if manifest != truth.manifest:
        raise OvertakenError(truth)
    return manifest or await read_manifest(truth.kv, owner)


async def _swap(truth: KnownTruth, owner: str, before: Manifest, after: Manifest) -> None:
    def change(manifest: Manifest) -> Manifest:
        if manifest != before:
            raise OvertakenError(truth)
        return after

    await change_manifest(truth.kv, owner, change)


async def _finish(target: KnownTruth, owner: str, old: Manifest, epoch: int) -> None:
    def change(manifest: Manifest) -> Manifest:
        if (manifest.taking_over, manifest.taker) != (old.truth_id, owner):
            raise OvertakenError(target)
        known = {**old.lineage, old.truth_id: old.epoch}
        return _with(
            manifest,
            epoch=epoch,
            lineage={one: at for one, at in known.items() if one != manifest.truth_id},
            taking_over=None,
            taker="",
            superseded_by=None,
        )

    await change_manifest(target.kv, owner, change)


async def _refuse_if_filled(target: KnownTruth, before: Manifest, owner: str) -> None:
    """Refuse where a server has stored something in a truth that was empty when it was opened."""
    filled = before.taking_over is not None or before.replica
    if not filled and target.empty and await target.kv.namespaces(limit=1):
        begun = await read_manifest(target.kv, owner)
        await _swap(target, owner, begun, before)
        raise OvertakenError(target)


async def _refuse_if_reclaimed(source: KnownTruth, successor: Successor) -> None:
    manifest = await peek_manifest(source.kv)
    if manifest is None or manifest.superseded_by != successor:
        raise OvertakenError(source)


def _reclaimed(manifest: Manifest, passed_over: Mapping[str, int] = _NOTHING) -> Manifest:
    above = manifest.superseded_by.epoch if manifest.superseded_by else 0
    return _with(
        manifest,
        superseded_by=None,
        taking_over=None,
        taker="",
        replica=False,
        epoch=max(above, manifest.epoch) + 1,
        passed_over={**manifest.passed_over, **passed_over},
    )


def _with(manifest: Manifest, **fields: object) -> Manifest:
    return msgspec.structs.replace(manifest, **fields)
