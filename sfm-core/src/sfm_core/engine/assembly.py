"""Putting an engine together, and taking it apart in reverse order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from sfm_core.engine.access import AccessRecorder
from sfm_core.engine.adopting import Adopting
from sfm_core.engine.answers import AnswerKeeper
from sfm_core.engine.backoff import Backoff
from sfm_core.engine.build import Builder
from sfm_core.engine.check import Checking
from sfm_core.engine.clearing import Clearing
from sfm_core.engine.committer import Committer
from sfm_core.engine.corrections import Corrections
from sfm_core.engine.drafts import Drafting
from sfm_core.engine.event_token import EventTokens
from sfm_core.engine.explaining import Explaining
from sfm_core.engine.exporting import Exporting
from sfm_core.engine.finishing import Finishing
from sfm_core.engine.follow_links import LinkFollower
from sfm_core.engine.follow_memories import MemoryFollower
from sfm_core.engine.following import Following
from sfm_core.engine.forget import Forgetting
from sfm_core.engine.importing import Importing
from sfm_core.engine.index import without_credentials
from sfm_core.engine.index_opener import IndexOpener
from sfm_core.engine.indexer import Indexer
from sfm_core.engine.indexes import Indexes
from sfm_core.engine.links import Linking
from sfm_core.engine.listing import Listing
from sfm_core.engine.log_pages import LogPages
from sfm_core.engine.log_watch import LogWatch
from sfm_core.engine.manifest import Manifest, read_manifest
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.opening import BackendMaker, open_stores
from sfm_core.engine.operations.parts import Parts
from sfm_core.engine.overdue import Overdue
from sfm_core.engine.paths import PathFinding
from sfm_core.engine.positions import Positions
from sfm_core.engine.presence import Presence, leave_if_possible
from sfm_core.engine.publishing import Publishing
from sfm_core.engine.purging import Purging
from sfm_core.engine.reading import Reading
from sfm_core.engine.reap_links import LinkReaper
from sfm_core.engine.recall import Recalling
from sfm_core.engine.relay import Relay
from sfm_core.engine.remember import Remembering
from sfm_core.engine.repairing import Repairing
from sfm_core.engine.replay import Replaying
from sfm_core.engine.restore import Restoring
from sfm_core.engine.retention import Retention
from sfm_core.engine.rounds import Rounds
from sfm_core.engine.scrubbing import Scrubbing
from sfm_core.engine.searching import Searching
from sfm_core.engine.second_round import SecondRound
from sfm_core.engine.shelving import Shelving
from sfm_core.engine.stores import Stores
from sfm_core.engine.sweeper import Sweeper
from sfm_core.engine.timely import Timely
from sfm_core.engine.trimming import Trimming
from sfm_core.engine.truth import Truth
from sfm_core.engine.waking import Waking
from sfm_core.engine.writer import Writer, leave_to_others
from sfm_core.errors import SfmError
from sfm_core.registry import BackendContext, Registry
from sfm_core.resilience import Policy
from sfm_core.settings import EngineSettings, Slots

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_engine(
    *,
    slots: Slots,
    registry: Registry,
    context: BackendContext,
    settings: EngineSettings | None = None,
    policy: Policy | None = None,
    decides: bool = True,
) -> AsyncGenerator[MemoryEngine]:
    """Open the chosen backends and run an engine on them.

    On leaving, the work in hand is finished, then backends are closed in
    reverse order. What could not be finished is noted in the truth.

    Args:
        slots: Which backend serves which port.
        registry: The backends that can be chosen.
        context: What backends need beside their URLs.
        settings: How the engine works.
        policy: How patient it is with backends that can be cut off.
        decides: Whether all engines on this truth are to go over to the
            embedder and the text rule of this one, where another serves. One
            that is open for a moment only uses what serves.

    Yields:
        The engine, ready for use.

    Raises:
        ConfigurationError: A backend is unknown or its settings cannot work.
        BackendUnavailableError: A backend cannot be reached.
        CorruptDataError: The truth's manifest cannot be read.
    """
    async with AsyncExitStack() as stack:
        maker = BackendMaker(registry, context, policy or Policy())
        stores = await open_stores(stack, slots, maker, settings or EngineSettings())
        manifest = await read_manifest(stores.kv, stores.owner)
        # Whoever has an entry before it looks at the collections can be waited for by others.
        presence = await _enter(stack, stores)
        embedders = await stack.enter_async_context(AsyncExitStack())
        indexes = Indexes(stores, IndexOpener(embedders, maker.embedder, stores.index))
        place = f"{without_credentials(slots.vector)} {without_credentials(slots.graph)}"
        await indexes.begin(place=place, decides=decides)
        yield _start(stack, stores, manifest, presence, indexes)


def _start(
    stack: AsyncExitStack, stores: Stores, manifest: Manifest, presence: Presence, indexes: Indexes
) -> MemoryEngine:
    """Wire the parts, start the upkeep, and have everything closed in reverse order."""
    truth = Truth(stores.kv)
    waking = Waking(stores.kv, stores.clock, retry=stores.settings.sweep_interval)
    drafting = Drafting(indexes) if stores.settings.inline else None
    committer = Committer(stores, presence, logged=waking.logged, drafting=drafting)
    stack.push_async_callback(committer.close)
    repairing = _repairing(stores, truth, indexes, committer)
    indexer = _indexer(stack, stores, indexes, repairing)
    access = _recorder(stack, stores, truth, committer)
    searching = Searching(stores, truth, indexes, Corrections(stores, repairing, committer))
    recalling, timely = _recalling(stack, stores, searching, access)
    positions = _positions(stack, Positions(stores, manifest, presence, indexes))
    writer = _writer(stack, stores, committer, indexer, positions)
    remembering, forgetting = Remembering(stores, truth, writer), Forgetting(stores, truth, writer)
    rounds = Rounds(stores, Scrubbing(stores, truth, committer, repairing, indexer))
    purging = Purging(stores, truth, forgetting, writer, rounds)
    reading, linking = Reading(stores, truth, access), Linking(stores, truth, writer)
    checking = Checking(stores, truth, reading, repairing, indexes)
    parts = Parts(
        stores=stores,
        presence=presence,
        positions=positions,
        indexes=indexes,
        builder=Builder(stores, indexes, reading, checking),
        shelving=Shelving(stores, indexes),
        adopting=Adopting(stores, indexes, indexer, presence),
        remembering=remembering,
        forgetting=forgetting,
        clearing=Clearing(stores, truth, writer, forgetting, purging),
        purging=purging,
        reading=reading,
        listing=Listing(stores, truth),
        recalling=recalling,
        timely=timely,
        explaining=Explaining(stores, truth, searching, recalling),
        linking=linking,
        paths=PathFinding(stores, truth, linking),
        access=access,
        checking=checking,
        exporting=Exporting(stores, truth, reading),
        importing=Importing(stores, Restoring(stores, truth, remembering, linking), writer),
        replaying=Replaying(stores, truth, reading, presence, waking),
        overdue=_overdue(stores, committer, forgetting, rounds),
        following=_following(stack, stores, truth, waking, EventTokens(manifest.truth_id)),
        relay=_relay(stores, truth, presence, waking),
    )
    _keep_up(stack, parts, waking)
    return MemoryEngine(parts)


def _repairing(stores: Stores, truth: Truth, indexes: Indexes, committer: Committer) -> Repairing:
    links = LinkFollower(stores, truth)
    memories = MemoryFollower(stores, truth, LinkReaper(stores, truth, committer, links))
    return Repairing(stores.kv.scheme, indexes, memories, links)


def _indexer(
    stack: AsyncExitStack, stores: Stores, indexes: Indexes, repairing: Repairing
) -> Indexer:
    finishing = Finishing(stores, repairing)
    indexer = Indexer(
        indexes,
        repairing,
        finishing,
        wait=stores.settings.index_wait,
        observer=stores.observer,
    )
    stack.push_async_callback(indexer.close)
    return indexer


def _positions(stack: AsyncExitStack, positions: Positions) -> Positions:
    stack.push_async_callback(positions.close)
    return positions


def _writer(
    stack: AsyncExitStack,
    stores: Stores,
    committer: Committer,
    indexer: Indexer,
    positions: Positions,
) -> Writer:
    follow = indexer.follow if stores.settings.inline else leave_to_others
    writer = Writer(committer, follow, positions)
    stack.push_async_callback(writer.close)
    return writer


def _recalling(
    stack: AsyncExitStack, stores: Stores, searching: Searching, access: AccessRecorder
) -> tuple[Recalling, Timely]:
    stack.push_async_callback(searching.close)
    recalling = Recalling(stores, searching, access)
    stack.push_async_callback(recalling.close)
    timely = Timely(recalling, searching)
    stack.push_async_callback(timely.close)
    return recalling, timely


def _following(
    stack: AsyncExitStack, stores: Stores, truth: Truth, waking: Waking, tokens: EventTokens
) -> Following:
    following = Following(stores, LogPages(stores, truth), LogWatch(stores, waking), tokens)
    stack.push_async_callback(following.close)
    return following


def _relay(stores: Stores, truth: Truth, presence: Presence, waking: Waking) -> Relay | None:
    if stores.sink is None:
        return None
    # As long as others take to notice that a process is gone.
    backoff = Backoff(limit=stores.settings.lease)
    return Relay(stores, Publishing(stores, truth, stores.sink), presence, waking, backoff)


def _overdue(
    stores: Stores, committer: Committer, forgetting: Forgetting, rounds: Rounds
) -> Overdue:
    second_round = SecondRound(stores, committer, rounds)
    return Overdue(stores, forgetting, second_round, AnswerKeeper(stores, committer))


def _keep_up(stack: AsyncExitStack, parts: Parts, waking: Waking) -> None:
    """Start what an engine does while nobody waits."""
    _run(stack, waking.run())
    if parts.relay is not None:
        _run(stack, parts.relay.run())
    sweeper = Sweeper(
        parts.stores,
        indexes=parts.indexes,
        builder=parts.builder,
        adopting=parts.adopting,
        overdue=parts.overdue,
        access=parts.access,
        retention=Retention(parts.stores),
        trimming=Trimming(parts.stores, parts.presence),
        presence=parts.presence,
        left=waking.left,
    )
    stack.push_async_callback(parts.builder.close)
    stack.push_async_callback(parts.overdue.close)
    # It ends before what it begins.
    _run(stack, sweeper.run())
    if parts.stores.settings.inline:
        parts.builder.kick()


def _recorder(
    stack: AsyncExitStack, stores: Stores, truth: Truth, committer: Committer
) -> AccessRecorder:
    access = AccessRecorder(stores, truth, committer)
    stack.push_async_callback(_flush, access)
    return access


async def _flush(access: AccessRecorder) -> None:
    try:
        await access.flush()
    except SfmError as error:
        log.warning("the last reads are not counted: %s: %s", error.code, error)


async def _enter(stack: AsyncExitStack, stores: Stores) -> Presence:
    presence = Presence(stores.kv, stores.clock, stores.owner, lease=stores.settings.lease)
    stack.push_async_callback(leave_if_possible, presence)
    await presence.renew()
    return presence


def _run(stack: AsyncExitStack, work: Coroutine[object, object, None]) -> None:
    """Run a task for as long as the engine is open."""
    task = asyncio.create_task(work)

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(stop)
