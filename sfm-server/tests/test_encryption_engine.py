"""An engine on an encrypted truth: what one namespace lacks keeps no other from anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sfm_core.clock import SystemClock
from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import EncryptionKeyError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import parse_filter
from sfm_core.model.keys import PURGE, KeyRange
from sfm_core.model.memory import NewMemory
from sfm_core.model.query import RecallQuery
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots
from sfm_core.wrapping import Wrapping
from sfm_server.encryption.bare_vectors import BareVectorStore
from sfm_server.encryption.erasing import clear_away, erase
from sfm_server.encryption.ring import KeyRing, MasterKey
from sfm_server.encryption.rotating import Rotation
from sfm_server.encryption.store import EncryptedKeyValueStore
from sfm_server.encryption.watching import GivenKeys

ONE = MasterKey(id="one", secret=b"1" * 32)
OWN = MasterKey(id="own", secret=b"3" * 32, namespace="tenant")
GONE = MasterKey(id="own", secret=b"", namespace="tenant")
NOW = datetime(2030, 1, 1, tzinfo=UTC)
WHALE = {"text": "A whale sings."}


@asynccontextmanager
async def engine_with(folder: Path, *ring: MasterKey) -> AsyncGenerator[MemoryEngine]:
    keys = GivenKeys(KeyRing(ring))
    wrapping = Wrapping(kv=lambda kv: EncryptedKeyValueStore(kv, keys), vector=BareVectorStore)
    async with open_engine(
        slots=Slots(
            kv="sqlite:", vector="sqlite:", graph="sqlite:", cache="memory:", embedder="hashing:"
        ),
        registry=load_plugins().registry,
        context=BackendContext(data_folder=folder, wrapping=wrapping),
    ) as engine:
        yield engine


def memory(number: int, **more: str) -> NewMemory:
    return NewMemory(coordinate=Coordinate((float(number),)), payload={**WHALE, **more})


async def test_writers_of_other_namespaces_go_on_where_a_key_was_destroyed(tmp_path: Path) -> None:
    async with engine_with(tmp_path, ONE, GONE) as engine:
        results = await asyncio.gather(
            *(
                engine.store("tenant" if number % 3 == 0 else f"n{number % 2}", memory(number))
                for number in range(30)
            ),
            return_exceptions=True,
        )
        refused = [isinstance(result, EncryptionKeyError) for result in results]
        assert refused == [number % 3 == 0 for number in range(30)]
        found = await asyncio.gather(
            *(engine.get(f"n{n % 2}", Coordinate((float(n),))) for n in range(30) if n % 3)
        )
        assert [one.version for one in found] == [1] * 20


async def test_questions_to_other_namespaces_are_answered_where_a_key_was_destroyed(
    tmp_path: Path,
) -> None:
    async with engine_with(tmp_path, ONE, OWN) as engine:
        await engine.store("tenant", memory(1))
        await engine.store("n", memory(1))
    async with engine_with(tmp_path, ONE, GONE) as engine:
        asked = [engine.recall(name, RecallQuery(text="whale")) for name in ("tenant", "n") * 8]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(answer, EncryptionKeyError) for answer in answers[::2])
        assert all(isinstance(answer, list) and len(answer) == 1 for answer in answers[1::2])
        with pytest.raises(EncryptionKeyError, match="destroyed"):
            await engine.get("tenant", Coordinate((1.0,)))


async def test_events_are_told_without_what_nobody_can_read_any_more(tmp_path: Path) -> None:
    async with engine_with(tmp_path, ONE, OWN) as engine:
        await engine.store("tenant", memory(1))
        await engine.store("n", memory(1))
    async with engine_with(tmp_path, ONE, GONE) as engine:
        for name in ("tenant", "n"):
            async with aclosing(engine.follow_events(name, after="start", limit=10)) as pages:
                [placed] = (await anext(pages)).events
            assert (placed.event.data is None) is (name == "tenant")


async def test_filters_hold_though_the_vector_store_knows_no_payload(tmp_path: Path) -> None:
    async with engine_with(tmp_path, ONE) as engine:
        await asyncio.gather(
            *(engine.store("n", memory(n, kind="rare" if n == 7 else "common")) for n in range(300))
        )
        wanted = parse_filter({"kind": "rare"})
        found = await engine.recall("n", RecallQuery(text="whale", filter=wanted, top_k=3))
        assert [one.memory.coordinate for one in found] == [Coordinate((7.0,))]


async def test_writes_go_on_while_everything_is_encrypted_anew(tmp_path: Path) -> None:
    async with engine_with(tmp_path, ONE) as engine:
        await asyncio.gather(*(engine.store("n", memory(number)) for number in range(200)))
    two = MasterKey(id="two", secret=b"2" * 32)
    ring = GivenKeys(KeyRing([ONE, two]))
    async with engine_with(tmp_path, ONE, two) as engine:
        context = BackendContext(data_folder=tmp_path)
        async with load_plugins().registry.create_kv("sqlite:", context) as raw:
            rotating = asyncio.create_task(Rotation(raw, ring).run())
            written = [
                await engine.store("n", memory(number, said="again")) for number in range(0, 200, 2)
            ]
            done = await rotating
            assert done.unreadable == {}
            await Rotation(raw, ring).run()
        assert {one.version for one in written} == {2}
    async with engine_with(tmp_path, two) as engine:
        found = await asyncio.gather(
            *(engine.get("n", Coordinate((float(number),))) for number in range(200))
        )
        assert [one.version for one in found] == [2, 1] * 100


async def test_derived_stores_follow_where_a_namespace_was_erased(tmp_path: Path) -> None:
    async with engine_with(tmp_path, ONE, OWN) as engine:
        for name in ("tenant", "n"):
            await asyncio.gather(*(engine.store(name, memory(number)) for number in range(20)))
            await engine.link(name, Coordinate((1.0,)), Coordinate((2.0,)))
        await engine.delete("tenant", Coordinate((3.0,)))
    context = BackendContext(data_folder=tmp_path)
    async with load_plugins().registry.create_kv("sqlite:", context) as raw:
        # Of each memory and the link, and what is left of the one that was deleted.
        reader = EncryptedKeyValueStore(raw, GivenKeys(KeyRing([ONE, GONE])))
        assert (await erase(raw, reader, GONE, SystemClock())).removed["tenant"] > 20
        [left] = await raw.scan("tenant", [KeyRange(b"", None)], limit=100)
        assert {at[:1] for at, _ in left} == {PURGE}
        assert {entry.value for _, entry in left} == {b""}
        assert len(left) == 20
        assert await clear_away(raw, GONE, now=NOW) == {"tenant": 0}
    async with engine_with(tmp_path, ONE, GONE) as engine:
        await engine.follow_up()
        assert not (await engine.finish_purges("tenant")).pending
        report = await engine.check()
        assert report.consistent
        assert (report.memories, report.links) == (20, 1)


async def test_a_server_goes_over_the_stores_where_nobody_else_did(tmp_path: Path) -> None:
    async with engine_with(tmp_path, ONE, OWN) as engine:
        await engine.store("tenant", memory(1))
    context = BackendContext(data_folder=tmp_path)
    async with load_plugins().registry.create_kv("sqlite:", context) as raw:
        await clear_away(raw, GONE, now=datetime(2020, 1, 1, tzinfo=UTC))
        async with engine_with(tmp_path, ONE, GONE), asyncio.timeout(60):
            # Upkeep tells nobody when it is done.
            while await raw.scan("tenant", [KeyRange(b"", None)], limit=10) != [[]]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
