"""A write with an idempotency key happens once, and answers the same however often it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest
from engine_house import NS, SETTINGS, Faults, House, at, eventually, new, open_house

from sfm_core.engine.copying import copy_entries, summarise
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import (
    BackendUnavailableError,
    CorruptDataError,
    IdempotencyKeyReusedError,
    InvalidInputError,
    NotFoundError,
    SfmError,
    VersionConflictError,
)
from sfm_core.inprocess.kv import InProcessKeyValueStore, KeyValueState
from sfm_core.model.events import START
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.keys import ANSWER, ANSWER_END, KeyRange
from sfm_core.model.link import Link
from sfm_core.model.patch import MemoryPatch
from sfm_core.model.report import ImportReport, Removed, Stored
from sfm_core.protocols.kv import Commit, Write

A, B, C = at(1), at(2), at(3)
KEY = IdempotencyKey("one")
RETENTION = timedelta(seconds=60)
BRIEF = replace(SETTINGS, idempotency_retention=RETENTION)

Call = Callable[[MemoryEngine, IdempotencyKey], Awaitable[object]]


@pytest.fixture
async def engine(house: House) -> AsyncIterator[MemoryEngine]:
    async with house.open(BRIEF) as made:
        await made.store(NS, new(A, "first"))
        await made.store(NS, new(B, "other end"))
        await made.link(NS, B, A)
        yield made


async def lines(*documents: object) -> AsyncIterator[bytes]:
    for document in documents:
        yield json.dumps(document).encode()


def line(number: float, text: str = "imported") -> dict[str, object]:
    return {"coord": [number], "payload": {"text": text}}


CALLS: dict[str, Call] = {
    "store": lambda e, k: e.store(NS, new(A, "second"), idempotency_key=k),
    "remember": lambda e, k: e.remember(NS, {"text": "anywhere"}, idempotency_key=k),
    "update": lambda e, k: e.update(NS, A, MemoryPatch(payload={"n": 1}), idempotency_key=k),
    "set_importance": lambda e, k: e.set_importance(NS, A, 0.9, idempotency_key=k),
    "delete": lambda e, k: e.delete(NS, A, idempotency_key=k),
    "link": lambda e, k: e.link(NS, A, B, weight=2, idempotency_key=k),
    "unlink": lambda e, k: e.unlink(NS, B, A, idempotency_key=k),
    "store_many": lambda e, k: e.store_many(
        NS, [new(A, "second"), new(C, "third"), new(C, "fourth")], idempotency_key=k
    ),
    "delete_many": lambda e, k: e.delete_many(NS, [A, B, C], idempotency_key=k),
    "import_lines": lambda e, k: e.import_lines(
        lines(line(1), line(7), {"from_coord": [1], "to_coord": [7]}),
        default_namespace=NS,
        idempotency_key=k,
    ),
}


def gist(answer: object) -> object:
    """Return what an answer says of the write, without how far derived stores have followed."""
    if isinstance(answer, Stored):
        return answer.coordinate, answer.version, answer.revision
    if isinstance(answer, Removed):
        return answer.count
    if isinstance(answer, list):
        return [gist(one) for one in cast("list[object]", answer)]
    assert isinstance(answer, Link | ImportReport)
    return answer


async def told(house: House) -> int:
    return len(await house.kv.read_events(after=START, limit=1000))


async def kept(house: House, namespace: str = NS) -> int:
    ranges = [KeyRange.prefix(ANSWER), KeyRange.prefix(ANSWER_END)]
    return sum(map(len, await house.kv.scan(namespace, ranges, limit=1000)))


@pytest.mark.parametrize("name", CALLS)
async def test_a_repeated_write_answers_the_same_and_happens_once(
    house: House, engine: MemoryEngine, name: str
) -> None:
    first = await CALLS[name](engine, KEY)
    await house.sweep()
    events, counted = await told(house), await engine.stats(NS)
    again = await CALLS[name](engine, KEY)
    assert gist(again) == gist(first)
    assert (await told(house), await engine.stats(NS)) == (events, counted)
    assert (await engine.check()).consistent


@pytest.mark.parametrize("name", CALLS)
async def test_a_repeated_write_undoes_nothing_that_happened_since(
    engine: MemoryEngine, name: str
) -> None:
    first = await CALLS[name](engine, KEY)
    await engine.delete(NS, A)
    await engine.store(NS, new(A, "later"))
    await engine.link(NS, B, A, weight=7) if name != "delete_many" else None
    stands = [memory.revision for memory in await engine.list_memories(NS)]
    assert gist(await CALLS[name](engine, KEY)) == gist(first)
    assert [memory.revision for memory in await engine.list_memories(NS)] == stands


@pytest.mark.parametrize("name", CALLS)
async def test_concurrent_writes_of_two_engines_with_one_key_are_one_write(
    house: House, engine: MemoryEngine, name: str
) -> None:
    async with house.open() as other:
        before = await told(house)
        calls = [CALLS[name](one, KEY) for _ in range(32) for one in (engine, other)]
        answers = [gist(answer) for answer in await asyncio.gather(*calls)]
        once = await told(house) - before
    assert all(answer == answers[0] for answer in answers)
    async with open_house() as fresh, fresh.open() as alone:
        for setup in (new(A, "first"), new(B, "other end")):
            await alone.store(NS, setup)
        await alone.link(NS, B, A)
        before = await told(fresh)
        await CALLS[name](alone, KEY)
        assert await told(fresh) - before == once


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("before", CALLS)
async def test_a_key_of_another_write_is_refused_and_nothing_changes(
    house: House, engine: MemoryEngine, name: str, before: str
) -> None:
    if name == before:
        return
    await CALLS[before](engine, KEY)
    events = await told(house)
    with pytest.raises(IdempotencyKeyReusedError):
        await CALLS[name](engine, KEY)
    assert await told(house) == events


async def test_the_same_key_with_another_payload_is_refused(engine: MemoryEngine) -> None:
    await engine.store(NS, new(C, "one"), idempotency_key=KEY)
    with pytest.raises(IdempotencyKeyReusedError):
        await engine.store(NS, new(C, "two"), idempotency_key=KEY)
    with pytest.raises(IdempotencyKeyReusedError):
        await engine.store(NS, new(at(3, 0), "one"), idempotency_key=KEY)
    assert (await engine.get(NS, C)).version == 1


async def test_keys_of_two_namespaces_have_nothing_to_do_with_one_another(
    engine: MemoryEngine,
) -> None:
    await engine.store(NS, new(C, "here"), idempotency_key=KEY)
    assert (await engine.store("other", new(C, "there"), idempotency_key=KEY)).version == 1
    assert (await engine.get("other", C)).payload == {"text": "there"}


async def test_what_was_refused_can_be_tried_again_with_its_key(engine: MemoryEngine) -> None:
    with pytest.raises(VersionConflictError):
        await engine.store(NS, new(A, expected_version=7), idempotency_key=KEY)
    with pytest.raises(NotFoundError):
        await engine.link(NS, A, C, idempotency_key=KEY)
    assert (await engine.store(NS, new(C), idempotency_key=KEY)).version == 1


async def test_an_answer_that_nothing_was_there_is_kept_too(engine: MemoryEngine) -> None:
    assert not await engine.delete(NS, C, idempotency_key=KEY)
    await engine.store(NS, new(C))
    assert not await engine.delete(NS, C, idempotency_key=KEY)
    assert (await engine.get(NS, C)).version == 1


async def test_a_write_whose_reply_was_lost_is_found_to_have_happened(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.kv.lose_reply("commit")
        with pytest.raises(BackendUnavailableError):
            await engine.store(NS, new(A), idempotency_key=KEY)
        assert (await engine.store(NS, new(A), idempotency_key=KEY)).version == 1
        assert await told(house) == 1


async def test_a_repetition_has_derived_stores_follow_what_a_dead_process_left(
    house: House,
) -> None:
    faults = Faults()
    async with house.open(faults=faults) as dying:
        faults.vector.fail("upsert", times=None)
        assert not (await dying.store(NS, new(A, "a whale"), idempotency_key=KEY)).indexed
    async with house.open() as engine:
        again = await engine.store(NS, new(A, "a whale"), idempotency_key=KEY)
        assert again.indexed
        assert (await house.points())[A] == again.version == 1


async def test_items_that_were_refused_are_stored_when_all_are_sent_again(
    engine: MemoryEngine,
) -> None:
    items = [new(C, "x"), new(at(4), "y", expected_version=1), new(at(5), "z")]
    first = await engine.store_many(NS, items, idempotency_key=KEY)
    assert isinstance(first[1], VersionConflictError)
    await engine.store(NS, new(at(4), "there now"))
    again = await engine.store_many(NS, items, idempotency_key=KEY)
    assert [versions(first), versions(again)] == [[1, None, 1], [1, 2, 1]]


def versions(results: Sequence[Stored | SfmError]) -> list[int | None]:
    return [result.version if isinstance(result, Stored) else None for result in results]


async def test_an_import_that_was_cut_off_goes_on_and_leaves_later_writes_alone(
    engine: MemoryEngine,
) -> None:
    whole = [line(number) for number in range(10, 13)]
    await engine.import_lines(lines(*whole[:2]), default_namespace=NS, idempotency_key=KEY)
    await engine.store(NS, new(at(10), "written since"))
    await engine.delete(NS, at(11))
    report = await engine.import_lines(lines(*whole), default_namespace=NS, idempotency_key=KEY)
    assert (report.imported, report.failed) == (3, 0)
    assert [str(m.coordinate) for m in await engine.list_memories(NS, after=at(9))] == ["10", "12"]
    assert (await engine.get(NS, at(10))).payload == {"text": "written since"}


async def test_another_line_in_the_place_of_one_that_was_imported_is_refused(
    engine: MemoryEngine,
) -> None:
    await engine.import_lines(lines(line(10)), default_namespace=NS, idempotency_key=KEY)
    with pytest.raises(IdempotencyKeyReusedError):
        await engine.import_lines(lines(line(11)), default_namespace=NS, idempotency_key=KEY)
    assert await engine.get_many(NS, [at(11)]) == [None]


async def test_after_its_time_a_key_is_a_new_one(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(C, "old"), idempotency_key=KEY)
    await house.clock.advance(RETENTION)
    assert (await engine.store(NS, new(C, "new"), idempotency_key=KEY)).version == 2
    assert (await engine.store(NS, new(C, "new"), idempotency_key=KEY)).version == 2


async def test_items_of_before_do_not_count_for_a_key_that_is_used_anew(
    house: House, engine: MemoryEngine
) -> None:
    for version in (1, 2):
        stored = await engine.store_many(NS, [new(C), new(at(4))], idempotency_key=KEY)
        assert versions(stored) == [version, version]
        await house.clock.advance(RETENTION)


@pytest.mark.parametrize("items", [1, 7, 8, 1200])
async def test_answers_go_when_their_time_is_over(house: House, items: int) -> None:
    limits = replace(SETTINGS.limits, max_batch=2000)
    async with house.open(replace(BRIEF, limits=limits)) as engine:
        memories = [new(at(number)) for number in range(items)]
        await engine.store_many(NS, memories, idempotency_key=KEY)
        await engine.store(NS, new(C), idempotency_key=IdempotencyKey("two"))
        assert await kept(house) >= min(items, 1000)
        await house.sweep(RETENTION)

        async def gone() -> bool:
            return await kept(house) == 0

        await eventually(gone)
        assert (await engine.stats(NS)).total_memories >= items


async def test_sweeping_leaves_answers_that_count(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(C), idempotency_key=KEY)
    await house.clock.advance(RETENTION - timedelta(seconds=30))
    await engine.store(NS, new(at(4)), idempotency_key=IdempotencyKey("two"))
    await house.sweep(timedelta(seconds=31))
    await engine.store(NS, new(at(4)), idempotency_key=IdempotencyKey("two"))
    assert (await engine.get(NS, at(4))).version == 1
    assert await kept(house) == 2


async def test_kept_answers_are_seen_by_nobody(house: House, engine: MemoryEngine) -> None:
    digest, exported = await summarise(house.kv), [one async for one in engine.export()]
    await engine.delete(NS, at(99), idempotency_key=KEY)
    assert await kept(house) == 2
    assert await summarise(house.kv) == digest
    assert [one async for one in engine.export()] == exported
    await house.nothing_waits()
    assert (await engine.check()).consistent


async def test_keys_move_with_the_memories_to_another_truth(
    house: House, engine: MemoryEngine
) -> None:
    first = await engine.store(NS, new(C), idempotency_key=KEY)
    moved = KeyValueState()

    async def allowed() -> None: ...

    async with InProcessKeyValueStore(state=moved, clock=house.clock) as target:
        await copy_entries(house.kv, target, "mover", guard=allowed)
        assert await summarise(target) == await summarise(house.kv)
    async with open_house(truth=moved, clock=house.clock) as there, there.open() as other:
        again = await other.store(NS, new(C), idempotency_key=KEY)
    assert gist(again) == gist(first)


async def test_an_answer_that_cannot_be_read_is_no_missing_one(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(C), idempotency_key=KEY)
    [[(key, entry)]] = await house.kv.scan(NS, [KeyRange.prefix(ANSWER)], limit=2)
    broken = Commit(namespace=NS, writes=(Write(key, b"no answer", entry.version),))
    await house.kv.commit([broken], owner="test", lease=timedelta(seconds=1))
    with pytest.raises(CorruptDataError):
        await engine.store(NS, new(C), idempotency_key=KEY)


@pytest.mark.parametrize("text", ["", "x" * 256, "a\nb", "\ud800"])
async def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        IdempotencyKey(text)
    assert refused.value.field == "idempotency_key"
