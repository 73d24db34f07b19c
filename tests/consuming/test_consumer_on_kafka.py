"""`sfm consumer` on Kafka: members of a group that come, go and are killed, and an outage."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TypeAlias

import pytest
from fix_consuming import ConsumerProcess
from kafka_brokers import ApacheKafka
from replica_house import change_something, held

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.plugins import load_plugins
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.registry import BackendContext, Registry
from sfm_core.settings import EngineSettings, Slots
from tests.fix_modes import Stores, topic_at

SETTINGS = EngineSettings(history_limit=5)
PATIENCE_SECONDS = 300

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

MakeMember: TypeAlias = Callable[[], ConsumerProcess]


@pytest.fixture
def registry() -> Registry:
    return load_plugins().registry


@pytest.fixture
def topic(stores: Stores) -> Mapping[str, str]:
    """The variables of a topic that is not there yet."""
    return stores.kafka()


@pytest.fixture
def make_member(topic: Mapping[str, str], tmp_path: Path) -> Generator[MakeMember]:
    """Makes consumers of one group that fill one replica."""
    made: list[ConsumerProcess] = []

    def make() -> ConsumerProcess:
        folder = tmp_path / f"member-{len(made)}"
        folder.mkdir()
        member = ConsumerProcess(folder)
        member.environ = {
            **topic,
            "SFM_SOURCE_URL": "kafka:",
            "SFM_CONSUMER_HANDLERS": f"replica:sqlite://{tmp_path}/replica.db",
            "SFM_CONSUMER_BATCH": "20",
            "SFM_HISTORY_LIMIT": str(SETTINGS.history_limit),
            "SFM_DATA_FOLDER": str(tmp_path / "data"),
        }
        made.append(member)
        return member

    yield make
    for member in made:
        member.close()


class Truth:
    """An engine that publishes to a topic, and a look at everything that it holds."""

    def __init__(self, engine: MemoryEngine, kv: KeyValueStore, folder: Path) -> None:
        self.engine = engine
        self._kv = kv
        self._folder = folder

    async def change(self, random: Random, times: int) -> None:
        """Do what clients may do."""
        for _ in range(times):
            await change_something(self.engine, random)

    async def equals_its_replica(self, registry: Registry, *members: ConsumerProcess) -> None:
        """Wait until the replica holds the same."""
        context = BackendContext(data_folder=self._folder)
        async with (
            registry.create_kv(f"sqlite://{self._folder}/replica.db", context) as replica,
            asyncio.timeout(PATIENCE_SECONDS),
        ):
            while await held(replica) != await held(self._kv):
                assert all(member.runs for member in members), [one.log for one in members]
                await asyncio.sleep(0.2)


@asynccontextmanager
async def publishing(
    registry: Registry, topic: Mapping[str, str], folder: Path
) -> AsyncGenerator[Truth]:
    """Open a truth whose events go to a topic."""
    context = BackendContext(data_folder=folder, options=topic)
    slots = Slots(
        kv="memory:",
        vector="memory:",
        graph="memory:",
        cache="memory:",
        embedder="hashing:",
        events="kafka:",
    )
    async with (
        open_engine(slots=slots, registry=registry, context=context, settings=SETTINGS) as engine,
        registry.create_kv("memory:", context) as kv,
    ):
        yield Truth(engine, kv, folder)


async def test_members_that_are_killed_leave_an_exact_replica(
    registry: Registry, topic: Mapping[str, str], make_member: MakeMember, tmp_path: Path
) -> None:
    random = Random(7)
    members = [make_member(), make_member()]
    async with publishing(registry, topic, tmp_path) as truth:
        for member in members:
            member.start(wait=False)
        for _ in range(6):
            await truth.change(random, 60)
            await asyncio.sleep(random.random() * 3)
            member = random.choice(members)
            assert member.end(signal.SIGKILL) == -signal.SIGKILL
            member.start(wait=False)
        await truth.change(random, 60)
        await truth.equals_its_replica(registry, *members)


async def test_a_member_that_leaves_hands_over_in_good_order(
    registry: Registry, topic: Mapping[str, str], make_member: MakeMember, tmp_path: Path
) -> None:
    random = Random(8)
    first, second = make_member(), make_member()
    async with publishing(registry, topic, tmp_path) as truth:
        first.start(wait=False)
        await truth.change(random, 60)
        second.start(wait=False)
        await truth.change(random, 60)
        await until_it_says(first, 200)
        assert await asyncio.to_thread(first.end) == 0
        await truth.change(random, 60)
        await truth.equals_its_replica(registry, second)
    assert await asyncio.to_thread(second.end) == 0
    assert "the consumer is closed" in first.log
    assert "Traceback" not in first.log + second.log


async def test_an_outage_of_the_broker_costs_nothing_but_delay(
    registry: Registry, apache_kafka: ApacheKafka, make_member: MakeMember, tmp_path: Path
) -> None:
    random = Random(9)
    topic = topic_at(apache_kafka.address)
    member = make_member()
    member.environ |= topic
    async with publishing(registry, topic, tmp_path) as truth:
        member.start(wait=False)
        await truth.change(random, 60)
        await truth.equals_its_replica(registry, member)
        apache_kafka.kill()
        try:
            await truth.change(random, 60)
            await until_it_says(member, 503)
        finally:
            await asyncio.to_thread(apache_kafka.start)
        await truth.change(random, 60)
        await truth.equals_its_replica(registry, member)
    assert await asyncio.to_thread(member.end) == 0


async def until_it_says(member: ConsumerProcess, status: int) -> None:
    """Wait until a consumer answers with a status when it is asked whether it is ready."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await asyncio.to_thread(member.get, "/readyz")).status_code != status:
            assert member.runs, member.log
            await asyncio.sleep(0.2)
    assert (await asyncio.to_thread(member.get, "/healthz")).is_success
