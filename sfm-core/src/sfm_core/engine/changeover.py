"""Opening the truths of an installation, and seeing that the chosen one is the newest."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import uuid4

from sfm_core.clock import Clock
from sfm_core.engine.copying import Progress, count_differences
from sfm_core.engine.lineage import Decision, KnownTruth, Relation, Surroundings, decide
from sfm_core.engine.manifest import peek_manifest, read_manifest
from sfm_core.engine.opening import BackendMaker
from sfm_core.engine.presence import in_use
from sfm_core.engine.succession import (
    OvertakenError,
    call_off,
    reclaim,
    refuse_half_copied,
    refuse_replica,
    take_over,
)
from sfm_core.errors import BackendUnavailableError, ConfigurationError, SfmError
from sfm_core.model.report import MigrationReport
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.settings import EngineSettings

ResultT = TypeVar("ResultT")

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=5)
"""How long another truth may take to be opened before it counts as unreachable."""

LEASE = EngineSettings().lease
_ROUNDS = 10
_LOOKS = 3
"""How often truths that do not answer are tried before a start is refused for the lack of one."""
_PAUSE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthUrl:
    """Where a truth may be.

    Attributes:
        url: The URL that chooses its backend.
        place: The same for messages, without credentials.
    """

    url: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpToDate:
    """A truth that an engine can run on.

    Attributes:
        truth_id: Which truth it is.
        epoch: Its epoch.
        report: What was taken over from an older one; `None` where nothing was.
    """

    truth_id: str
    epoch: int
    report: MigrationReport | None = None


@dataclass(frozen=True, slots=True)
class _OpenTruth:
    place: str
    kv: KeyValueStore

    async def look(self) -> KnownTruth:
        manifest = await peek_manifest(self.kv)
        replica = manifest is not None and manifest.replica
        empty = replica or not await self.kv.namespaces(limit=1)
        return KnownTruth(place=self.place, kv=self.kv, manifest=manifest, empty=empty)


async def bring_up_to_date(
    maker: BackendMaker,
    target: TruthUrl,
    others: Sequence[TruthUrl],
    *,
    last_id: str | None = None,
    last_place: str = "",
    last_epoch: int = 0,
    lease: timedelta = LEASE,
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
        last_epoch: Its epoch then; 0 if that is not known.
        lease: How long others wait for this process where it is killed.
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
    for turn in range(_ROUNDS):
        async with truths(maker, target, others) as (truth, reached, unreachable):
            around = Surroundings(
                others=reached,
                unreachable=unreachable,
                last_id=last_id,
                last_place=last_place,
                last_epoch=last_epoch,
            )
            decision = _decided(truth, around, last_look=turn + 1 >= _LOOKS)
            if decision is None:
                await maker.clock.sleep(_PAUSE)
                continue
            try:
                if decision.source is not None:
                    await _refuse_if_in_use(decision.source, truth, maker.clock)
                    log.info("bringing %s up to date from %s", truth.place, decision.source.place)
                    report = await take_over(
                        decision.source, truth, maker.clock, owner, lease=lease, progress=progress
                    )
                elif decision.abandoned is not None:
                    await call_off(*decision.abandoned, maker.clock, owner, lease=lease)
                else:
                    manifest = await read_manifest(truth.kv, owner)
                    return UpToDate(truth_id=manifest.truth_id, epoch=manifest.epoch, report=report)
            except OvertakenError as error:
                log.info("looking at all truths again: %s", error.message)
    raise _ever_changing(target.place)


async def foresee(
    maker: BackendMaker,
    target: TruthUrl,
    others: Sequence[TruthUrl],
    *,
    last_id: str | None = None,
    last_place: str = "",
    last_epoch: int = 0,
) -> Decision:
    """Tell what `bring_up_to_date` would do first, and change nothing.

    Args:
        maker: Opens the stores.
        target: The truth that an engine is to run on.
        others: Where other truths may be.
        last_id: The truth that the installation ran on last, if it is known.
        last_place: How its URL began.
        last_epoch: Its epoch then; 0 if that is not known.

    Returns:
        What it would do; the truths in it are closed.

    Raises:
        ConfigurationError: It would refuse.
        BackendError: The truth failed.
    """
    async with truths(maker, target, others) as (truth, reached, unreachable):
        around = Surroundings(
            others=reached,
            unreachable=unreachable,
            last_id=last_id,
            last_place=last_place,
            last_epoch=last_epoch,
        )
        return decide(truth, around)


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
        chosen = await _open(stack, maker, target)
        tries = [_if_reached(at.place, partial(_open, stack, maker, at)) for at in others]
        opened = await asyncio.gather(*tries)
        further = [one for one in opened if one is not None]
        truth, looks = await _look_at_all(chosen, further)
        reached = [found for found in looks if found is not None]
        same = {None, truth.truth_id}
        distinct = {one.truth_id: one for one in reached if one.truth_id not in same}
        nameless = [one.place for one in reached if one.manifest is None and not one.empty]
        for place in nameless:
            log.warning("%s has lost its manifest: what it holds is not taken over", place)
        unreachable = [at.place for at, one in zip(others, opened, strict=True) if one is None]
        silent = [at.place for at, look in zip(further, looks, strict=True) if look is None]
        yield truth, list(distinct.values()), [*unreachable, *silent, *nameless]


async def migrate(
    maker: BackendMaker,
    source: TruthUrl,
    target: TruthUrl,
    *,
    replace: bool = False,
    dry_run: bool = False,
    lease: timedelta = LEASE,
    progress: Progress | None = None,
) -> MigrationReport:
    """Have one truth take over from another, on the word of a person.

    Servers that run on the source take no more writes from then on. A migration
    that was interrupted goes on when it is called again; one that is done does
    nothing, be it that another process did it while this one waited.

    Args:
        maker: Opens the stores.
        source: The truth to copy.
        target: The truth to copy it to.
        replace: Whether what the target holds and the source never had may be
            removed, and an older truth may replace a newer one.
        dry_run: Count only what would be written and removed.
        lease: How long others wait for this process where it is killed.
        progress: Told how many entries were dealt with.

    Returns:
        What was done, or would be.

    Raises:
        ConfigurationError: Both URLs are one truth, or memories would be lost
            that `replace` does not allow to lose. Nothing was changed.
        CorruptDataError: The copy is not equal to the original.
        OvertakenError: One of the truths was changed meanwhile, and `replace` was said of
            what it was before.
        BackendError: A truth failed.
    """
    owner = str(uuid4())
    async with AsyncExitStack() as stack:
        places = await _open(stack, maker, source), await _open(stack, maker, target)
        for _ in range(_ROUNDS):
            old, new = [await place.look() for place in places]
            done = MigrationReport(source=old.place, target=new.place)
            refuse_replica(old)
            if not replace and new.relation_to(old) is Relation.HOLDS_IT:
                return done
            _refuse_to_lose(old, new, replace=replace)
            if dry_run:
                return await _foreseen(done, old, new, progress)
            if replace:
                old = dataclasses.replace(old, manifest=await reclaim(old, owner))
            try:
                return await take_over(old, new, maker.clock, owner, lease=lease, progress=progress)
            except OvertakenError as error:
                # What is to be replaced has to be what it was when a person said so.
                if replace:
                    raise
                log.info("looking at both truths again: %s", error.message)
    raise _ever_changing(target.place)


async def _foreseen(
    nothing: MigrationReport, old: KnownTruth, new: KnownTruth, progress: Progress | None
) -> MigrationReport:
    copied = await count_differences(old.kv, new.kv, progress)
    return dataclasses.replace(
        nothing,
        written=copied.written,
        removed=copied.removed,
        unchanged=copied.unchanged,
    )


def _ever_changing(place: str) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"Other processes change which truth is the newest as fast as {place} follows.",
        backend=place,
        remedy="Start the servers of one mode only.",
    )


def _decided(truth: KnownTruth, around: Surroundings, *, last_look: bool) -> Decision | None:
    """Decide, unless one more look may spare a refusal: others may have been slow only this once.

    Their server may be only just starting, or this process short of time.
    """
    try:
        return decide(truth, around)
    except ConfigurationError as error:
        if last_look or not around.unreachable:
            raise
        log.warning("looking at all truths once more: %s", error)
        return None


def _refuse_to_lose(old: KnownTruth, new: KnownTruth, *, replace: bool) -> None:
    relation = new.relation_to(old)
    if relation is Relation.SAME:
        raise ConfigurationError(f"{old.place} and {new.place} are one truth.")
    refuse_half_copied(old)
    if old.empty:
        raise ConfigurationError(
            f"{old.place} holds nothing; it replaces no memories.",
            remedy="See that its name is right.",
        )
    if replace:
        return
    begun = new.taking_over is not None and new.taking_over == old.truth_id
    if relation is Relation.UNRELATED and not begun:
        raise ConfigurationError(
            f"{new.place} holds memories that {old.place} never had.",
            remedy="Bring them together with `sfm export` and `sfm import`, or have them removed "
            "with --replace.",
        )
    successor = old.successor
    if successor is not None and successor.truth_id != new.truth_id:
        raise ConfigurationError(
            f"{successor.place} has taken over from {old.place}.",
            remedy=f"Migrate from {successor.place}, or go back to the older one with --replace.",
        )


async def _if_reached(place: str, work: Callable[[], Awaitable[ResultT]]) -> ResultT | None:
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            return await work()
    except TimeoutError:
        log.warning("the truth at %s does not answer", place)
    except SfmError as error:
        log.warning("the truth at %s cannot be read: %s: %s", place, error.code, error)
    return None


async def _open(stack: AsyncExitStack, maker: BackendMaker, at: TruthUrl) -> _OpenTruth:
    return _OpenTruth(at.place, await stack.enter_async_context(maker.kv(at.url)))


async def _look_at_all(
    target: _OpenTruth, others: Sequence[_OpenTruth]
) -> tuple[KnownTruth, list[KnownTruth | None]]:
    """Look until two looks are alike: then all truths were as they are told at one moment.

    Other workers start as well, and one truth may take over from another between the looks at
    the two. Nothing comes back to what it was, since epochs grow.
    """
    before = None
    while True:
        found = await target.look()
        now = found, await asyncio.gather(*(_if_reached(at.place, at.look) for at in others))
        if now == before:
            return now
        before = now


async def _refuse_if_in_use(source: KnownTruth, target: KnownTruth, clock: Clock) -> None:
    # Only an explicit `sfm migrate` may take a truth away from servers that run on it.
    if source.successor is None and await in_use(source.kv, clock):
        raise ConfigurationError(
            f"{target.place} is to take over from {source.place}, but a server runs on that.",
            setting="MEMORY_MODE",
            remedy="Stop that server first, or hand over while it runs, with `sfm migrate`. If its "
            "memories are not those of this installation, leave out the variables that name it.",
        )
