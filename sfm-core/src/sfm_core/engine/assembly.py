"""Putting an engine together, and taking it apart in reverse order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from sfm_core.engine.access import AccessRecorder
from sfm_core.engine.catalog import Catalog, Role, change_catalog, read_catalog
from sfm_core.engine.check import Checking
from sfm_core.engine.committer import Committer
from sfm_core.engine.follow_links import LinkFollower
from sfm_core.engine.follow_memories import MemoryFollower
from sfm_core.engine.forget import Forgetting
from sfm_core.engine.indexer import Indexer
from sfm_core.engine.links import Linking
from sfm_core.engine.manifest import read_manifest
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.opening import BackendMaker, open_stores
from sfm_core.engine.operations.parts import Parts
from sfm_core.engine.paths import PathFinding
from sfm_core.engine.presence import Presence
from sfm_core.engine.reading import Reading
from sfm_core.engine.reap_links import LinkReaper
from sfm_core.engine.recall import Recalling
from sfm_core.engine.relay import Relay
from sfm_core.engine.remember import Remembering
from sfm_core.engine.restore import Restoring
from sfm_core.engine.stores import Stores
from sfm_core.engine.sweeper import Sweeper
from sfm_core.engine.transfer import Exporting, Importing
from sfm_core.engine.truth import Truth
from sfm_core.engine.writer import Writer
from sfm_core.errors import SfmError
from sfm_core.registry import BackendContext, Registry
from sfm_core.resilience import Policy
from sfm_core.settings import EngineSettings, Slots
from sfm_core.text.analysis import Analyzer

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_engine(
    *,
    slots: Slots,
    registry: Registry,
    context: BackendContext,
    settings: EngineSettings | None = None,
    policy: Policy | None = None,
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
        await read_manifest(stores.kv, stores.owner)
        known = {collection.name for collection in await stores.vector.collections()}
        name = stores.index.name
        record = (await read_catalog(stores.kv)).find(name)
        complete = record is not None and record.complete and name in known
        if not complete:
            # It is about to be empty. A start that finds it half built must know.
            await _mark(stores, complete=False)
        await stores.vector.ensure(stores.index.collection)
        yield await _start(stack, stores, complete=complete)


async def _start(stack: AsyncExitStack, stores: Stores, *, complete: bool) -> MemoryEngine:
    """Wire the parts, start the upkeep, and have everything closed in reverse order."""
    presence = await _enter(stack, stores)
    truth = Truth(stores.kv)
    analyzer = Analyzer(stores.settings.text.language)
    committer = Committer(stores, presence)
    stack.push_async_callback(committer.close)
    reaper = LinkReaper(stores, truth, committer)
    indexer = Indexer(
        stores, MemoryFollower(stores, truth, analyzer, reaper), LinkFollower(stores, truth)
    )
    stack.push_async_callback(indexer.close)
    access = AccessRecorder(stores, truth, committer)
    stack.push_async_callback(_flush, access)
    recalling = Recalling(stores, truth, analyzer, indexer, access)
    stack.push_async_callback(recalling.close)
    writer = Writer(committer, indexer)
    stack.push_async_callback(writer.close)
    remembering = Remembering(stores, truth, writer)
    forgetting = Forgetting(stores, truth, writer)
    reading = Reading(stores, truth, access)
    linking = Linking(stores, truth, writer)
    restoring = Restoring(stores, truth, remembering, linking)
    engine = MemoryEngine(
        Parts(
            stores=stores,
            remembering=remembering,
            forgetting=forgetting,
            reading=reading,
            recalling=recalling,
            linking=linking,
            paths=PathFinding(stores, truth, linking),
            access=access,
            checking=Checking(stores, truth, reading, indexer),
            exporting=Exporting(stores, truth, reading),
            importing=Importing(restoring, writer),
        )
    )
    sweeper = Sweeper(
        stores,
        indexer=indexer,
        forgetting=forgetting,
        access=access,
        relay=Relay(stores, truth),
        presence=presence,
    )
    _run(stack, sweeper.run())
    if not complete:
        await _build(stack, stores, engine)
    return engine


async def _build(stack: AsyncExitStack, stores: Stores, engine: MemoryEngine) -> None:
    """Fill a new collection from the truth in the background; an empty truth needs no filling."""
    if not await stores.kv.namespaces(limit=1):
        await _mark(stores, complete=True)
        return
    engine.rebuilding = True

    async def build() -> None:
        try:
            rebuilt = await engine.rebuild()
            await _mark(stores, complete=True)
            log.info("built collection %s from %d entries", stores.index.name, rebuilt)
        except SfmError as error:
            log.warning("the next start goes on building: %s: %s", error.code, error)
        finally:
            engine.rebuilding = False

    _run(stack, build())


async def _mark(stores: Stores, *, complete: bool) -> None:
    def change(catalog: Catalog) -> Catalog:
        known = catalog.find(stores.index.name)
        record = known or stores.index.record(Role.SERVING, stores.clock.now())
        return catalog.put(record.changed(complete=complete))

    await change_catalog(stores.kv, stores.owner, change)


async def _flush(access: AccessRecorder) -> None:
    try:
        await access.flush()
    except SfmError as error:
        log.warning("the last reads are not counted: %s: %s", error.code, error)


async def _enter(stack: AsyncExitStack, stores: Stores) -> Presence:
    presence = Presence(stores.kv, stores.clock, stores.owner, lease=stores.settings.lease)
    stack.push_async_callback(_leave, presence)
    await presence.renew()
    return presence


async def _leave(presence: Presence) -> None:
    try:
        await presence.leave()
    except SfmError as error:
        log.warning("what takes over from this truth will wait: %s: %s", error.code, error)


def _run(stack: AsyncExitStack, work: Coroutine[object, object, None]) -> None:
    """Run a task for as long as the engine is open."""
    task = asyncio.create_task(work)

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(stop)
