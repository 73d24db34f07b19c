"""One truth takes over from another, and loses nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import msgspec

from sfm_core.clock import Clock
from sfm_core.engine.catalog import distrust_derived_stores
from sfm_core.engine.copying import Progress, copy_entries, copy_events, verify
from sfm_core.engine.lineage import KnownTruth, Relation, Surroundings, decide
from sfm_core.engine.locking import locked
from sfm_core.engine.manifest import (
    Manifest,
    Successor,
    change_manifest,
    peek_manifest,
    read_manifest,
)
from sfm_core.engine.opening import BackendMaker
from sfm_core.engine.presence import in_use, wait_until_quiet
from sfm_core.errors import BackendUnavailableError, ConfigurationError, SfmError
from sfm_core.model.report import MigrationReport

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=5)
"""How long another truth may take to be opened before it counts as unreachable."""

_LOCK = "succession"
_ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthUrl:
    """Where a truth may be.

    Attributes:
        url: The URL that chooses its backend.
        place: The same for messages, without credentials.
    """

    url: str
    place: str


async def take_over(
    source: KnownTruth,
    target: KnownTruth,
    clock: Clock,
    owner: str,
    *,
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
        progress: Told how many entries were dealt with.

    Returns:
        What was done.

    Raises:
        CorruptDataError: The copy is not equal to the original.
        BackendError: A truth failed, the target is written by others, or the
            source was reclaimed meanwhile.
    """
    async with locked(target.kv, clock, owner, _LOCK):
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


async def rehearse(
    source: KnownTruth, target: KnownTruth, owner: str, *, progress: Progress | None = None
) -> MigrationReport:
    """Count what `take_over` would do, and change nothing.

    Args:
        source: The truth to copy.
        target: The truth that would be changed.
        owner: Who asks.
        progress: Told how many entries were dealt with.

    Returns:
        What would be done.

    Raises:
        BackendError: A truth failed.
    """
    copied = await copy_entries(source.kv, target.kv, owner, dry_run=True, progress=progress)
    return MigrationReport(
        source=source.place,
        target=target.place,
        written=copied.written,
        removed=copied.removed,
        unchanged=copied.unchanged,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class UpToDate:
    """A truth that an engine can run on.

    Attributes:
        truth_id: Which truth it is.
        report: What was taken over from an older one; `None` where nothing was.
    """

    truth_id: str
    report: MigrationReport | None = None


async def bring_up_to_date(
    maker: BackendMaker,
    target: TruthUrl,
    others: Sequence[TruthUrl],
    *,
    last_id: str | None = None,
    last_place: str = "",
    progress: Progress | None = None,
) -> UpToDate:
    """See that a truth holds everything that any other truth of the installation holds.

    Args:
        maker: Opens the stores.
        target: The truth that an engine is to run on.
        others: Where other truths may be. Those that cannot be reached are
            left out, unless they are known to be newer.
        last_id: The truth that the installation ran on last, if it is known.
        last_place: How its URL began.
        progress: Told how many entries were dealt with.

    Returns:
        The truth, and what was copied to it.

    Raises:
        ConfigurationError: A newer truth cannot be reached or is in use, or
            it cannot be told which is the newest. Nothing was changed.
        BackendUnavailableError: Other processes keep changing which truth is the newest.
        BackendError: A truth failed.
    """
    owner = str(uuid4())
    report: MigrationReport | None = None
    for _ in range(_ROUNDS):
        async with truths(maker, target, others) as (truth, reached, unreachable):
            around = Surroundings(
                others=reached,
                unreachable=unreachable,
                last_id=last_id,
                last_place=last_place,
            )
            decision = decide(truth, around)
            if decision.source is not None:
                await _refuse_if_in_use(decision.source, truth, maker.clock)
                log.info("bringing %s up to date from %s", truth.place, decision.source.place)
                report = await take_over(
                    decision.source, truth, maker.clock, owner, progress=progress
                )
            elif decision.unfinished is not None:
                await _reclaim_from(decision.unfinished, truth, maker.clock, owner)
            else:
                manifest = await read_manifest(truth.kv, owner)
                return UpToDate(truth_id=manifest.truth_id, report=report)
    raise BackendUnavailableError(
        f"Other processes change which truth is the newest as fast as {target.place} follows.",
        backend=target.place,
        remedy="Start the servers of one mode only.",
    )


@asynccontextmanager
async def truths(
    maker: BackendMaker, target: TruthUrl, others: Sequence[TruthUrl]
) -> AsyncGenerator[tuple[KnownTruth, list[KnownTruth], list[str]]]:
    """Open a truth, and those of some others that can be reached.

    Args:
        maker: Opens the stores.
        target: The truth that must be reached.
        others: Further truths.

    Yields:
        The truth, the others that were reached (the same truth under another
        URL left out), and the places of those that were not.

    Raises:
        BackendError: `target` cannot be opened.
        ConfigurationError: Its URL cannot work.
    """
    async with AsyncExitStack() as stack:
        truth = await _open(stack, maker, target)
        tries = await asyncio.gather(*(_try(stack, maker, other) for other in others))
        reached = [found for found in tries if isinstance(found, KnownTruth)]
        same = {None, truth.truth_id}
        distinct = {one.truth_id: one for one in reached if one.truth_id not in same}
        yield truth, list(distinct.values()), [one for one in tries if isinstance(one, str)]


async def _try(stack: AsyncExitStack, maker: BackendMaker, at: TruthUrl) -> KnownTruth | str:
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            return await _open(stack, maker, at)
    except TimeoutError:
        log.warning("the truth at %s does not answer", at.place)
    except SfmError as error:
        log.warning("the truth at %s cannot be read: %s: %s", at.place, error.code, error)
    return at.place


async def _open(stack: AsyncExitStack, maker: BackendMaker, at: TruthUrl) -> KnownTruth:
    kv = await stack.enter_async_context(maker.kv(at.url))
    return KnownTruth(
        place=at.place,
        kv=kv,
        manifest=await peek_manifest(kv),
        empty=not await kv.namespaces(limit=1),
    )


async def _reclaim_from(
    unfinished: KnownTruth, truth: KnownTruth, clock: Clock, owner: str
) -> None:
    """Call a succession off, unless it is finished once no process is at it any more."""
    async with locked(unfinished.kv, clock, owner, _LOCK):
        manifest = await peek_manifest(unfinished.kv)
        if manifest and truth.manifest and manifest.lineage.get(truth.manifest.truth_id):
            now = KnownTruth(
                place=unfinished.place, kv=unfinished.kv, manifest=manifest, empty=False
            )
            if now.relation_to(truth) is Relation.HOLDS_IT:
                return
        log.warning("%s never finished taking over from %s", unfinished.place, truth.place)
        await reclaim(truth, owner)


async def _refuse_if_in_use(source: KnownTruth, target: KnownTruth, clock: Clock) -> None:
    # Only an explicit `sfm migrate` may take a truth away from servers that run on it.
    if source.successor is None and await in_use(source.kv, clock):
        raise ConfigurationError(
            f"{target.place} is to take over from {source.place}, but a server runs on that.",
            setting="MEMORY_MODE",
            remedy="Stop that server first; or hand over while it runs, with `sfm migrate`.",
        )


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
