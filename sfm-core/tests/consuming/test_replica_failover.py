"""A replica is no truth until it is made one, and then nothing of it is lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from engine_house import NS, SETTINGS, at, found, new
from engine_town import TICK, Town, url

from sfm_core.engine.changeover import migrate, truths
from sfm_core.engine.consuming.replica import ReplicaHandler
from sfm_core.engine.manifest import peek_manifest
from sfm_core.engine.portable import memory_document
from sfm_core.engine.succession import reclaim
from sfm_core.errors import BackendUnavailableError, ConfigurationError, SupersededError
from sfm_core.handling import FollowedMemory, HandlerContext
from sfm_core.model.events import Event, EventType, event_id
from sfm_core.model.keys import memory_key
from sfm_core.model.payload import Payload
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.testing.samples import MOMENT

A, B = at(1), at(2)


@pytest.fixture
async def town() -> Town:
    """A town whose truth `a` holds memories, of which `b` is a replica."""
    built = Town()
    async with built.server("a") as engine:
        await engine.store_many(NS, [new(A, "whale"), new(B, "ship")])
        await engine.link(NS, A, B)
        async with replicating(built, "b") as handler:
            exact = memory_document(await engine.get(NS, A)) | {"born": 1}
            await handler.handle([replace(stored({}), data=exact)])
    built.new_process()
    return built


@asynccontextmanager
async def replicating(town: Town, place: str) -> AsyncGenerator[ReplicaHandler]:
    """Open a handler that fills a truth of the town."""
    handler = ReplicaHandler(
        lambda: town.maker().kv(f"{place}:"),
        place=f"{place}:",
        clock=town.clock,
        settings=SETTINGS,
    )
    await town.while_time_passes(handler.__aenter__())
    try:
        yield handler
    finally:
        await town.while_time_passes(handler.__aexit__(None, None, None))


def stored(payload: Payload, version: int = 1) -> Event:
    """Return the event of the memory at A."""
    data: Payload = {
        "type": "episodic",
        "payload": payload,
        "created_at": MOMENT.isoformat(),
        "updated_at": MOMENT.isoformat(),
        "born": 1,
    }
    return Event(
        id=event_id(NS, memory_key(A), version),
        type=EventType.MEMORY_STORED,
        source=f"/namespaces/{NS}",
        subject=str(A),
        time=MOMENT,
        version=version,
        data=data,
    )


async def is_replica(town: Town, place: str) -> bool:
    async with town.kv(place) as kv:
        manifest = await peek_manifest(kv)
    return manifest is not None and manifest.replica


async def adopt(town: Town, place: str, others: Sequence[str] = ()) -> None:
    """Do what `sfm truths --adopt` does."""
    found_truths = truths(town.maker(), url(place), [url(other) for other in others])
    async with found_truths as (chosen, reached, _):
        await reclaim(chosen, "test", passing_over=reached)


class TestBecomingOne:
    async def test_it_goes_on_where_it_was(self, town: Town) -> None:
        async with replicating(town, "b") as handler:
            await handler.handle([stored({"text": "again"}, version=2)])
        assert await is_replica(town, "b")
        assert len((await town.content("b"))[NS]) == 2

    async def test_a_truth_with_memories_does_not_become_one(self, town: Town) -> None:
        before = await town.content("a")
        with pytest.raises(ConfigurationError, match="memories of its own"):
            async with replicating(town, "a"):
                pass
        assert not await is_replica(town, "a")
        assert await town.content("a") == before

    async def test_a_truth_that_a_server_runs_on_does_not_become_one(self, town: Town) -> None:
        async with town.engine("c") as engine:
            with pytest.raises(ConfigurationError, match="A server runs on c:"):
                async with replicating(town, "c"):
                    pass
            assert (await engine.store(NS, new(A))).version == 1

    async def test_a_truth_that_is_half_copied_does_not_become_one(self, town: Town) -> None:
        town.faults["c"].fail("commit", nth=5, times=None)
        with pytest.raises(BackendUnavailableError):
            await town.while_time_passes(migrate(town.maker(), url("a"), url("c")))
        town.new_process()
        with pytest.raises(ConfigurationError, match="memories of its own"):
            async with replicating(town, "c"):
                pass

    async def test_two_consumers_fill_one(self, town: Town) -> None:
        async with replicating(town, "c") as one, replicating(town, "c") as other:
            await one.handle([stored({"n": 1})])
            await other.handle([stored({"n": 1}), stored({"n": 2}, version=2)])
            assert await one.handle([stored({"n": 1})]) == [None]
        [entry] = [e for e in (await town.content("c"))[NS] if e[0] == memory_key(A)]
        assert entry[1] == 2


class TestBeingOne:
    async def test_an_engine_on_it_reads_and_takes_no_writes(self, town: Town) -> None:
        async with town.engine("b") as engine:
            assert (await engine.get(NS, A)).payload == {"text": "whale"}
            with pytest.raises(SupersededError, match="only a consumer writes"):
                await engine.store(NS, new(B))

    async def test_the_truth_that_it_follows_starts_as_ever(self, town: Town) -> None:
        assert (await town.start("a", last="a")).report is None
        assert await is_replica(town, "b")

    async def test_a_new_mode_takes_over_from_the_truth_and_not_from_it(self, town: Town) -> None:
        await town.start("c", last="a")
        assert await town.content("c") == await town.content("a")

    async def test_it_is_not_run_on_while_its_truth_is_out_of_reach(self, town: Town) -> None:
        town.stop("a")
        with pytest.raises(ConfigurationError, match="b: is a replica that a consumer fills"):
            await town.start("b")
        with pytest.raises(ConfigurationError, match="were last in a:"):
            await town.start("b", last="a")

    async def test_it_is_not_run_on_while_a_server_runs_on_its_truth(self, town: Town) -> None:
        async with town.server("a"):
            with pytest.raises(ConfigurationError, match="a server runs on that"):
                await town.start("b", last="a")

    async def test_nothing_is_moved_from_it(self, town: Town) -> None:
        with pytest.raises(ConfigurationError, match="b: is a replica"):
            await migrate(town.maker(), url("b"), url("c"))


class TestBecomingTheTruth:
    @pytest.mark.parametrize("by_hand", [True, False], ids=["sfm migrate", "a start"])
    async def test_what_it_lacks_is_copied_to_it(self, town: Town, *, by_hand: bool) -> None:
        before = await town.content("a")
        if by_hand:
            moving = migrate(town.maker(), url("a"), url("b"))
            report = await town.while_time_passes(moving)
        else:
            up_to_date = await town.start("b", last="a")
            assert up_to_date.report is not None
            report = up_to_date.report
        assert report.unchanged == 1
        assert await town.content("b") == before
        async with town.server("b") as engine:
            assert (await engine.store(NS, new(A))).version == 2
            assert await found(engine, "ship") == [B, A]

    async def test_it_goes_on_with_what_it_holds_where_its_truth_is_lost(self, town: Town) -> None:
        town.stop("a")
        await adopt(town, "b")
        async with town.server("b") as engine:
            assert await found(engine, "whale") == [A]
            assert (await engine.store(NS, new(A))).version == 2
        town.resume("a")
        with pytest.raises(ConfigurationError, match="were last in b:"):
            await town.start("a", last="b")

    async def test_what_derived_stores_were_there_before_is_not_relied_on(self, town: Town) -> None:
        async with town.engine("c"):
            pass
        town.new_process()
        async with replicating(town, "c") as handler:
            await handler.handle([stored({"text": "whale"})])
        await adopt(town, "c")
        async with town.engine("c") as engine:
            assert await found(engine, "whale") == [A]

    async def test_its_consumer_stops_when_it_is_a_replica_no_more(self, town: Town) -> None:
        async with replicating(town, "b") as handler:
            await handler.handle([stored({"n": 1})])
            await adopt(town, "b")
            await town.clock.advance(SETTINGS.lease)
            with pytest.raises(SupersededError, match="a replica no more"):
                await handler.handle([stored({"n": 2}, version=2)])
        with pytest.raises(ConfigurationError, match="memories of its own"):
            async with replicating(town, "b"):
                pass

    async def test_a_batch_in_hand_does_not_get_past_a_succession(self, town: Town) -> None:
        before = await town.content("a")
        async with replicating(town, "b") as handler:
            await handler.handle([stored({"n": 1})])
            await town.while_time_passes(migrate(town.maker(), url("a"), url("b")))
            await town.clock.advance(TICK)
            with pytest.raises(SupersededError):
                await handler.handle([stored({"n": 2}, version=2)])
        assert await town.content("b") == before


def nowhere() -> AbstractAsyncContextManager[FollowedMemory]:
    raise AssertionError


class TestChoosing:
    def make(self, address: str, folder: Path) -> object:
        plugins = load_plugins()
        chosen = plugins.handlers.find(address)
        context = HandlerContext(
            backends=BackendContext(data_folder=folder),
            registry=plugins.registry,
            settings=SETTINGS,
            open_memory=nowhere,
        )
        return chosen.factory(address, context)

    def test_its_url_holds_that_of_a_store(self, tmp_path: Path) -> None:
        assert isinstance(self.make("replica:sqlite:", tmp_path), ReplicaHandler)

    @pytest.mark.parametrize(
        ("address", "message"),
        [
            ("replica:", "names no key-value store"),
            ("replica:memory:", "holds nothing any more"),
            ("replica:nope://x", "offers a kv backend"),
            ("replica:sqlite://host/x", "names a host"),
        ],
    )
    def test_what_cannot_work_is_told_at_once(
        self, tmp_path: Path, address: str, message: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=message):
            self.make(address, tmp_path)
