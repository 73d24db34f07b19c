"""A replica holds what the truth holds, from the events alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from engine_house import NS, SETTINGS, House, at, new, open_house
from replica_house import Replica, change_something, held, open_replica, told

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import (
    BackendUnavailableError,
    ClosedError,
    ConfigurationError,
)
from sfm_core.model.events import Event, EventType
from sfm_core.model.memory import Episode, MemoryType
from sfm_core.testing.samples import HOSTILE_COORDINATES, HOSTILE_NAMES

A, B, C = at(1), at(2), at(3)
DAY = timedelta(days=1)


@pytest.fixture
async def replica(house: House) -> AsyncIterator[Replica]:
    async with open_replica(house, SETTINGS) as made:
        yield made


class TestAnExactCopy:
    async def test_of_memories_with_all_that_belongs_to_them(
        self, house: House, replica: Replica
    ) -> None:
        whole = new(
            A,
            "whale",
            type=MemoryType.SEMANTIC,
            importance=0.75,
            ttl=DAY,
            episode=Episode(name="sea", order=1.5),
        )
        events = await told(
            house,
            lambda engine: engine.store(NS, whole),
            lambda engine: engine.store(NS, new(A, "a white whale")),
            lambda engine: engine.set_importance(NS, A, 0.25),
        )
        await replica.take_in(events)
        assert await held(replica.kv) == await held(house.kv)

    async def test_of_links_that_come_before_their_ends(
        self, house: House, replica: Replica
    ) -> None:
        events = await told(
            house,
            lambda engine: engine.store_many(NS, [new(A), new(B)]),
            lambda engine: engine.link(NS, A, B, type="a>b", weight=0.5),
        )
        await replica.take_in([one for one in events if one.type is EventType.LINK_STORED])
        await replica.take_in([one for one in events if one.type is not EventType.LINK_STORED])
        assert await held(replica.kv) == await held(house.kv)

    async def test_of_what_was_deleted_and_lives_again(
        self, house: House, replica: Replica
    ) -> None:
        events = await told(
            house,
            lambda engine: engine.store_many(NS, [new(A), new(B)]),
            lambda engine: engine.link(NS, A, B),
            lambda engine: engine.delete(NS, A),
            lambda engine: engine.store(NS, new(A, "once more")),
            lambda engine: engine.delete(NS, B),
        )
        await replica.take_in(events)
        assert await held(replica.kv) == await held(house.kv)

    async def test_of_hostile_names_and_coordinates(self, house: House, replica: Replica) -> None:
        async def store(engine: MemoryEngine) -> None:
            for name in HOSTILE_NAMES:
                await engine.store_many(name, [new(where) for where in HOSTILE_COORDINATES])
                await engine.link(name, *HOSTILE_COORDINATES[:2], type=name)

        await replica.take_in(await told(house, store))
        assert await held(replica.kv) == await held(house.kv)

    async def test_of_an_import(self, house: House, replica: Replica) -> None:
        async def lines() -> AsyncIterator[bytes]:
            async with open_house() as other, other.open() as engine:
                await engine.store_many(NS, [new(A), new(B), new(A, "again")])
                await engine.link(NS, A, B)
                async for line in engine.export():
                    yield line

        events = await told(
            house, lambda engine: engine.import_lines(lines(), default_namespace=NS)
        )
        await replica.take_in(events)
        assert await held(replica.kv) == await held(house.kv)


class TestByVersion:
    async def test_what_comes_twice_changes_nothing(self, house: House, replica: Replica) -> None:
        events = await told(
            house,
            lambda engine: engine.store_many(NS, [new(A), new(B), new(A, "again")]),
            lambda engine: engine.link(NS, A, B),
            lambda engine: engine.delete(NS, B),
        )
        await replica.take_in(events)
        before = await held(replica.kv)
        async with replica.handler() as handler:
            commits = replica.plan.calls["commit"]
            for events_again in (events, events[::-1], events[:1]):
                await handler.handle(events_again)
            assert replica.plan.calls["commit"] == commits
        assert await held(replica.kv) == before

    async def test_a_batch_is_one_commit(self, house: House, replica: Replica) -> None:
        events = await told(
            house, lambda engine: engine.store_many(NS, [new(at(n)) for n in range(200)])
        )
        async with replica.handler() as handler:
            # The first write has it say that it is here.
            await handler.handle(events[:1])
            commits = replica.plan.calls["commit"]
            await handler.handle(events)
            assert replica.plan.calls["commit"] == commits + 1

    async def test_large_content_is_committed_in_portions(
        self, house: House, replica: Replica
    ) -> None:
        text = "x" * 1_000_000
        events = await told(
            house, lambda engine: engine.store_many(NS, [new(at(n), text) for n in range(20)])
        )
        async with replica.handler() as handler:
            await handler.handle(events[:1])
            commits = replica.plan.calls["commit"]
            await handler.handle(events)
            assert replica.plan.calls["commit"] == commits + 3
        assert await held(replica.kv) == await held(house.kv)

    async def test_a_version_that_comes_late_becomes_history(
        self, house: House, replica: Replica
    ) -> None:

        async def store(engine: MemoryEngine) -> None:
            await engine.store(NS, new(A))

        events = await told(house, *[store] * 15)
        await replica.take_in(events[::-1])
        assert await held(replica.kv) == await held(house.kv)

    async def test_an_event_without_data_waits_for_what_came_after_it(self, house: House) -> None:
        settings = replace(SETTINGS, history_limit=0)
        async with house.open(settings, events=True) as engine:
            await engine.store_many(NS, [new(A, "first"), new(A, "second"), new(B)])
            await engine.delete(NS, B)
            await engine.store(NS, new(B, "once more"))
            await house.sweep()
        events = house.sink.events
        assert None in [one.data for one in events]
        async with open_replica(house, settings) as replica:
            for one in events:
                await replica.take_in([one])
            assert await held(replica.kv) == await held(house.kv)

    async def test_a_deletion_counts_also_where_nothing_else_is_told_of_it(
        self, house: House, replica: Replica
    ) -> None:
        events = await told(
            house,
            lambda engine: engine.store_many(NS, [new(A), new(B)]),
            lambda engine: engine.link(NS, A, B),
            lambda engine: engine.unlink(NS, A, B),
            lambda engine: engine.delete(NS, A),
        )
        bare = [replace(one, data=None) if "deleted" in one.type else one for one in events]
        await replica.take_in(bare)
        assert await held(replica.kv) == await held(house.kv)
        async with open_replica(house, SETTINGS) as other:
            await other.take_in([one for one in bare if one.data is None])
            [kept] = (await held(other.kv)).values()
            assert len(kept[0]) == 2
            await other.take_in(events)
            assert (await held(other.kv))[NS][1] == (await held(house.kv))[NS][1]


class TestWhatItCannotTakeIn:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"source": "/namespaces/"}, "invalid-input"),
            ({"source": "/elsewhere/ns"}, "invalid-input"),
            ({"source": "/x/namespaces/ns"}, "invalid-input"),
            ({"source": "/namespaces/" + 200 * "x"}, "invalid-input"),
            ({"subject": "somewhere"}, "invalid-coordinate"),
            ({"type": EventType.LINK_STORED}, "invalid-input"),
            ({"type": EventType.LINK_DELETED, "subject": "1>>2"}, "invalid-input"),
            ({"data": {"type": "episodic"}}, "corrupt-data"),
            ({"data": {"payload": 1}}, "corrupt-data"),
        ],
    )
    async def test_an_event_that_is_not_as_promised_is_refused_alone(
        self, house: House, replica: Replica, change: dict[str, object], code: str
    ) -> None:
        good, bad = await told(house, lambda engine: engine.store_many(NS, [new(A), new(B)]))
        bad = replace(bad, **change)  # type: ignore[arg-type]
        async with replica.handler() as handler:
            first, second = await handler.handle([good, bad])
        assert first is None
        assert second is not None
        assert second.code == code
        assert list((await held(replica.kv))[NS][1].values()) == [1]

    async def test_a_stream_without_payloads_stops_it(self, house: House, replica: Replica) -> None:
        async with house.open(replace(SETTINGS, event_payloads=False), events=True) as engine:
            await engine.store(NS, new(A))
            await house.sweep()
        async with replica.handler() as handler:
            with pytest.raises(ConfigurationError, match="has no payload") as caught:
                await handler.handle(house.sink.events)
        assert caught.value.setting == "SFM_EVENTS_PAYLOAD"
        assert await held(replica.kv) == {}

    async def test_it_works_only_while_it_is_open(self, replica: Replica) -> None:
        handler = replica.handler()
        with pytest.raises(ClosedError):
            await handler.handle([])
        async with handler:
            assert await handler.handle([]) == []
        with pytest.raises(ClosedError):
            await handler.handle([])


class TestWhateverHappens:
    @pytest.mark.parametrize("seed", range(8))
    @pytest.mark.parametrize("history", [0, 2, 10])
    async def test_partitions_duplicates_and_faults_end_in_the_same_copy(
        self, house: House, history: int, seed: int
    ) -> None:
        random = Random(seed)
        settings = replace(SETTINGS, history_limit=history)
        async with house.open(settings, events=True) as engine:
            for _ in range(60):
                await change_something(engine, random)
                if random.random() < 0.3:
                    await house.sweep(timedelta(seconds=random.choice([5, 60])))
            await house.sweep(timedelta(seconds=60))
        async with open_replica(house, settings) as replica:
            await deliver(replica, house.sink.events, random)
            assert await held(replica.kv) == await held(house.kv)
            async with (
                open_house(truth=replica.state, clock=house.clock) as other,
                other.open(settings) as copy,
                house.open(settings) as original,
            ):
                exported = [line async for line in original.export()]
                assert [line async for line in copy.export()] == exported

    @pytest.mark.parametrize("seed", range(5))
    async def test_events_in_no_order_at_all_end_in_the_same_copy(
        self, house: House, seed: int
    ) -> None:
        random = Random(seed)
        async with house.open(events=True) as engine:
            for _ in range(60):
                await change_something(engine, random)
                await house.sweep()
        events = list(house.sink.events)
        random.shuffle(events)
        async with open_replica(house, SETTINGS) as replica:
            await replica.take_in(events)
            assert await held(replica.kv) == await held(house.kv)


async def deliver(replica: Replica, events: Sequence[Event], random: Random) -> None:
    """Hand events in as a stream of three partitions does, to one member after another."""
    partitions: dict[int, list[Event]] = defaultdict(list)
    for one in events:
        # A link lies where the memory does that it begins at, as on a topic.
        place = hash((one.source, one.subject.partition(">")[0])) % 3
        partitions[place].append(one)
    done = dict.fromkeys(partitions, 0)
    while any(done[place] < len(found) for place, found in partitions.items()):
        replica.plan.clear()
        if random.random() < 0.5:
            replica.plan.lose_reply("commit", nth=random.randint(4, 8))
        try:
            async with replica.handler() as handler:
                for _ in range(random.randint(1, 4)):
                    batch: list[Event] = []
                    ends = dict(done)
                    for place, found in partitions.items():
                        # Some of what was acknowledged is handed out again.
                        first = max(0, done[place] - random.randint(0, 3))
                        ends[place] = min(len(found), done[place] + random.randint(0, 12))
                        batch += found[first : ends[place]]
                    await handler.handle(batch)
                    # A crash before the acknowledgement has the batch come again.
                    if random.random() < 0.8:
                        done = ends
        except BackendUnavailableError:
            continue
