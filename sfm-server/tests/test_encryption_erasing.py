"""Erasing what a destroyed key has encrypted, though others write and nobody waits for the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from sfm_core.clock import SystemClock
from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.inprocess import InProcessKeyValueStore, KeyValueState
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import EPISODE, EXPIRY, KeyRange
from sfm_core.model.memory import Episode, NewMemory
from sfm_core.plugins import load_plugins
from sfm_core.protocols.kv import Commit, KeyValueStore, Write
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots
from sfm_core.testing.clock import ManualClock
from sfm_core.wrapping import Wrapping
from sfm_server.encryption.erasing import COMMIT_PATIENCE, Erased, erase
from sfm_server.encryption.erasures import begin_erasure, end_erasure
from sfm_server.encryption.ring import KeyRing, MasterKey
from sfm_server.encryption.store import EncryptedKeyValueStore
from sfm_server.encryption.watching import INTERVAL, GivenKeys

ONE = MasterKey(id="one", secret=b"1" * 32)
OLD = MasterKey(id="old", secret=b"3" * 32, namespace="tenant")
GONE = MasterKey(id="old", secret=b"", namespace="tenant")
NEW = MasterKey(id="new", secret=b"4" * 32, namespace="tenant")
SECRET, SHARED = "quomodocunquizing", "shared"
SLOTS = Slots(kv="sqlite:", vector="sqlite:", graph="sqlite:", cache="memory:", embedder="hashing:")


@asynccontextmanager
async def engine_with(folder: Path, *ring: MasterKey) -> AsyncGenerator[MemoryEngine]:
    keys = GivenKeys(KeyRing(ring))
    wrapping = Wrapping(kv=lambda kv: EncryptedKeyValueStore(kv, keys))
    context = BackendContext(data_folder=folder, wrapping=wrapping)
    async with open_engine(
        slots=SLOTS, registry=load_plugins().registry, context=context
    ) as engine:
        yield engine


def raw_store(folder: Path) -> KeyValueStore:
    return load_plugins().registry.create_kv("sqlite:", BackendContext(data_folder=folder))


def at(number: int) -> Coordinate:
    return Coordinate((float(number),))


def memory(number: int, episode: str = "", **more: str) -> NewMemory:
    return NewMemory(
        coordinate=at(number),
        payload={"text": "A whale sings.", **more},
        episode=Episode(name=episode, order=float(number)) if episode else None,
        ttl=timedelta(days=number),
    )


def files_with(folder: Path, *words: bytes) -> list[str]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in found if any(word in path.read_bytes() for word in words)]


async def erased(folder: Path, *ring: MasterKey) -> Erased:
    async with raw_store(folder) as raw:
        reader = EncryptedKeyValueStore(raw, GivenKeys(KeyRing(ring)))
        return await erase(raw, reader, GONE, SystemClock())


@pytest.fixture
async def half_erased(tmp_path: Path) -> Path:
    """A namespace with memories of two keys, of which the older one is erased."""
    async with engine_with(tmp_path, ONE, OLD) as engine:
        await engine.store("tenant", memory(1, SECRET))
        await engine.store("tenant", memory(1, SECRET, said="again"))
        await engine.store("tenant", memory(2))
        await engine.store("tenant", memory(3, SHARED, said="xylocarpous"))
        await engine.store("tenant", memory(5))
        await engine.link("tenant", at(1), at(2))
    async with engine_with(tmp_path, ONE, OLD, NEW) as engine:
        await engine.store("tenant", memory(4, SHARED))
        await engine.store("tenant", memory(5, said="again"))
        await engine.link("tenant", at(4), at(5))
        await engine.link("tenant", at(4), at(1))
    done = await erased(tmp_path, ONE, GONE, NEW)
    assert (done.ended, done.uncounted) == (True, [])
    return tmp_path


class TestOneKeyOfSeveral:
    async def test_counters_say_what_is_left(self, half_erased: Path) -> None:
        async with engine_with(half_erased, ONE, GONE, NEW) as engine:
            await engine.follow_up()
            stats = await engine.stats("tenant")
            assert (stats.total_memories, stats.links) == (2, 1)
            assert (await engine.check()).consistent

    async def test_nothing_lists_what_is_gone(self, half_erased: Path) -> None:
        async with raw_store(half_erased) as raw:
            kinds = [KeyRange.prefix(kind) for kind in (EPISODE, EXPIRY)]
            episodes, expiries = await raw.scan("tenant", kinds, limit=100)
        assert [SHARED.encode() in key for key, _ in episodes] == [True]
        assert len(expiries) == 2

    async def test_what_another_key_has_encrypted_is_read_and_found(
        self, half_erased: Path
    ) -> None:
        async with engine_with(half_erased, ONE, GONE, NEW) as engine:
            assert (await engine.get("tenant", at(5))).version == 2
            assert (await engine.get("tenant", at(4))).episode == Episode(name=SHARED, order=4.0)

    async def test_no_file_holds_the_name_of_an_episode_or_a_word_that_was_lent(
        self, half_erased: Path
    ) -> None:
        async with engine_with(half_erased, ONE, GONE, NEW) as engine:
            await engine.follow_up()
            assert not (await engine.finish_purges("tenant")).pending
        assert files_with(half_erased, SECRET.encode(), b"xylocarp") == []

    async def test_where_it_was_can_be_stored_again(self, half_erased: Path) -> None:
        async with engine_with(half_erased, ONE, GONE, NEW) as engine:
            assert (await engine.store("tenant", memory(1))).version == 1
            assert (await engine.history("tenant", at(1)))[1:] == []


class ChangingKeys(GivenKeys):
    """Keys that a test exchanges, as an edited file does."""

    def become(self, *keys: MasterKey) -> None:
        self._ring = KeyRing(keys)


async def put(store: KeyValueStore, *keys: bytes) -> None:
    writes = tuple(Write(key, b"content") for key in keys)
    await store.commit(
        [Commit(namespace="tenant", writes=writes)], owner="test", lease=timedelta(seconds=1)
    )


async def is_empty_after(store: EncryptedKeyValueStore, clock: ManualClock, by: timedelta) -> bool:
    """Have time pass while upkeep is done, and tell whether that has cleared everything away."""
    await store.maintain()
    await clock.advance(by)
    await store.maintain()
    for _ in range(3):
        await clock.advance(INTERVAL)
    return await store.inner.scan("tenant", [KeyRange(b"", None)], limit=10) == [[]]


class TestUpkeep:
    LET_GO = INTERVAL + COMMIT_PATIENCE

    @pytest.fixture
    def keys(self) -> ChangingKeys:
        return ChangingKeys(KeyRing([ONE, OLD]))

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def store(
        self, keys: ChangingKeys, clock: ManualClock
    ) -> AsyncGenerator[EncryptedKeyValueStore]:
        inner = InProcessKeyValueStore(state=KeyValueState(), clock=clock)
        async with EncryptedKeyValueStore(inner, keys, clock=clock) as store:
            await put(store, b"1", b"2")
            yield store

    async def test_it_goes_on_where_whoever_destroyed_the_key_was_killed(
        self, store: EncryptedKeyValueStore, keys: ChangingKeys, clock: ManualClock
    ) -> None:
        await begin_erasure(store.inner, "old")
        keys.become(ONE, GONE)
        assert await is_empty_after(store, clock, self.LET_GO)

    async def test_it_waits_for_writes_that_were_under_way(
        self, store: EncryptedKeyValueStore, keys: ChangingKeys, clock: ManualClock
    ) -> None:
        await begin_erasure(store.inner, "old")
        keys.become(ONE, GONE)
        assert not await is_empty_after(store, clock, self.LET_GO / 4)

    async def test_a_process_that_hears_late_clears_away_what_it_wrote(
        self, store: EncryptedKeyValueStore, keys: ChangingKeys, clock: ManualClock
    ) -> None:
        await store.maintain()
        await begin_erasure(store.inner, "old")
        await end_erasure(store.inner, "old")
        await put(store, b"late")
        keys.become(ONE, GONE)
        assert await is_empty_after(store, clock, self.LET_GO)

    async def test_what_was_destroyed_without_the_wish_to_erase_stays(
        self, store: EncryptedKeyValueStore, keys: ChangingKeys, clock: ManualClock
    ) -> None:
        await store.maintain()
        keys.become(ONE, GONE)
        assert not await is_empty_after(store, clock, self.LET_GO)

    async def test_what_a_living_key_has_encrypted_stays_though_an_erasure_was_begun(
        self, store: EncryptedKeyValueStore, clock: ManualClock
    ) -> None:
        await begin_erasure(store.inner, "old")
        assert not await is_empty_after(store, clock, self.LET_GO)

    async def test_a_store_is_closed_while_it_is_cleared(
        self, store: EncryptedKeyValueStore, keys: ChangingKeys, clock: ManualClock
    ) -> None:
        await begin_erasure(store.inner, "old")
        keys.become(ONE, GONE)
        await store.maintain()
        await clock.advance(self.LET_GO)
        await store.maintain()
        async with asyncio.timeout(60):
            await store.__aexit__(None, None, None)
            await store.__aenter__()
