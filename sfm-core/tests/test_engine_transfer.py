"""What is exported comes back by import: all of it, once, and nothing older than what is there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from engine_house import NS, SETTINGS, Faults, House, at, found, new, open_house

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.portable import FORMAT
from sfm_core.errors import BackendUnavailableError, InvalidInputError, NotFoundError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import Episode, MemoryType
from sfm_core.model.report import ImportReport

A, B, C = at(1), at(2, 0.5), at(-3)

# What a Python version may change shows here.
pytestmark = pytest.mark.smoke


@pytest.fixture
async def engine(house: House) -> AsyncIterator[MemoryEngine]:
    async with house.open() as made:
        await made.store(NS, new(A, "first", importance=0.25))
        await house.sweep()
        await made.store(NS, new(A, "second", type=MemoryType.SEMANTIC))
        await made.store(NS, new(B, "ünï\u2028cödé", ttl=timedelta(days=2)))
        await made.store("other", new(C, "elsewhere", episode=Episode(name="e", order=1.5)))
        await made.link(NS, A, B, type="x y", weight=0.1)
        await made.link(NS, A, B, type="x y", weight=0.2)
        await made.link(NS, B, A)
        for _ in range(3):
            await made.get(NS, A)
        await house.sweep()
        yield made


async def exported(engine: MemoryEngine, namespaces: list[str] | None = None) -> list[bytes]:
    return [line async for line in engine.export(namespaces)]


async def imported(
    engine: MemoryEngine, lines: Iterable[bytes], namespace: str = "default"
) -> ImportReport:
    async def stream() -> AsyncIterator[bytes]:
        for line in lines:
            yield line

    return await engine.import_lines(stream(), default_namespace=namespace)


async def test_an_import_brings_back_everything_that_was_exported(engine: MemoryEngine) -> None:
    lines = await exported(engine)
    async with open_house() as fresh:
        await fresh.clock.advance(timedelta(hours=1))
        async with fresh.open() as other:
            report = await imported(other, lines)
            assert (report.imported, report.links, report.failed) == (3, 2, 0)
            assert await exported(other) == lines
            assert await other.get(NS, A) == await engine.get(NS, A)
            assert await other.history(NS, A) == await engine.history(NS, A)
            assert await other.neighbors(NS, A) == await engine.neighbors(NS, A)
            assert (await other.access(NS, A)).count == (await engine.access(NS, A)).count
            assert await other.stats(NS) == await engine.stats(NS)
            assert await found(other, "second") == [A, B]
            assert (await other.check()).consistent


async def test_importing_the_same_again_changes_nothing(house: House, engine: MemoryEngine) -> None:
    lines = await exported(engine)
    report = await imported(engine, lines)
    assert (report.imported, report.links, report.failed) == (3, 2, 0)
    assert await exported(engine) == lines
    await house.nothing_waits()


async def test_importing_into_the_new_store_twice_changes_nothing(engine: MemoryEngine) -> None:
    lines = await exported(engine)
    async with open_house() as fresh, fresh.open() as other:
        await imported(other, lines)
        await imported(other, lines)
        assert await exported(other) == lines


async def test_an_older_version_never_replaces_a_newer_one(engine: MemoryEngine) -> None:
    lines = await exported(engine)
    await engine.store(NS, new(A, "third"))
    await engine.link(NS, A, B, type="x y", weight=0.9)
    await imported(engine, lines)
    assert (await engine.get(NS, A)).payload == {"text": "third"}
    assert (await engine.neighbors(NS, A))[0].weight == 0.9


async def test_what_was_deleted_since_comes_back_with_its_links(engine: MemoryEngine) -> None:
    lines = await exported(engine)
    await engine.delete(NS, A)
    report = await imported(engine, lines)
    assert report.failed == 0
    memory = await engine.get(NS, A)
    assert (memory.payload, memory.version) == ({"text": "second"}, 4)
    assert [(n.target, n.weight) for n in await engine.neighbors(NS, A)] == [(B, 0.2)]
    assert (await engine.stats(NS)).links == 2
    assert (await engine.check()).consistent


async def test_links_come_back_also_where_their_old_records_are_not_removed_yet(
    house: House, engine: MemoryEngine
) -> None:
    lines = await exported(engine)
    faults = Faults()
    async with house.open(faults=faults) as other:
        faults.vector.fail("delete", times=None)
        await other.delete(NS, A)
        await imported(other, lines)
        assert [n.target for n in await other.neighbors(NS, A)] == [B]


async def test_an_export_can_be_narrowed_to_namespaces(engine: MemoryEngine) -> None:
    kinds = [json.loads(line) for line in await exported(engine, ["other"])]
    assert [line.get("namespace") for line in kinds] == [None, "other", None]


async def test_an_export_of_nothing_has_only_its_frame(house: House) -> None:
    async with house.open() as engine:
        lines = await exported(engine)
        assert [json.loads(line)["kind"] for line in lines] == ["header", "footer"]
        assert (await imported(engine, lines)).failed == 0


@pytest.mark.parametrize("name", ["", "\0", "x" * 129])
async def test_names_that_are_no_namespaces_are_refused(engine: MemoryEngine, name: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        await exported(engine, [name])
    assert refusal.value.field == "namespaces"
    with pytest.raises(InvalidInputError) as refusal:
        await imported(engine, [b'{"coord": [1], "payload": {}}'], name)
    assert refusal.value.field == "namespace"


@pytest.mark.parametrize("cut", [1, 2, 3])
async def test_an_export_that_was_cut_short_is_noticed(engine: MemoryEngine, cut: int) -> None:
    lines = await exported(engine)
    async with open_house() as fresh, fresh.open() as other:
        report = await imported(other, lines[:-cut])
    assert report.failed == 1
    assert report.errors[0].line == len(lines) - cut + 1
    assert "cut short" in report.errors[0].message


async def test_an_export_that_lost_a_line_in_the_middle_is_noticed(engine: MemoryEngine) -> None:
    lines = await exported(engine)
    del lines[1]
    async with open_house() as fresh, fresh.open() as other:
        report = await imported(other, lines)
    assert any("counts" in error.message for error in report.errors)


async def test_lines_that_are_no_memories_are_named_by_number_and_the_others_are_taken(
    house: House,
) -> None:
    lines = [
        b'{"coord": [1], "payload": {"text": "fine"}}',
        b"not json",
        b"",
        b"[1, 2]",
        b'{"payload": {}}',
        b'{"coord": [], "payload": {}}',
        b'{"coord": "1,x", "payload": {}}',
        b'{"coord": [1e999], "payload": {}}',
        b'{"coord": [1], "payload": 3}',
        b'{"coord": [1], "payload": {}, "typo": 1}',
        b'{"coord": [1], "payload": {}, "importance": 2}',
        b'{"coord": [1], "payload": {}, "namespace": "a\\u0000b"}',
        b'{"coord": [1], "payload": {}, "episode": {"name": "", "order": 1}}',
        b'{"coord": [1], "payload": {}, "version": 0}',
        b'{"coord": [1], "payload": {}, "created_at": "2026-01-01T00:00:00"}',
        b'{"coord": [1], "payload": {}, "access_count": -1, "version": 1}',
        b'{"kind": "link", "from_coord": [1], "to_coord": [9]}',
        b'{"kind": "link", "from_coord": [1], "to_coord": [1], "weight": -1}',
        b'{"kind": "footer", "memories": 1, "links": 0}',
        b'{"kind": "something"}',
        b"[" * 5000,
        b"\xff\xfe",
        b'{"coord": "2, 3", "payload": {"text": "fine too"}}',
    ]
    async with house.open() as engine:
        report = await imported(engine, lines)
        assert report.imported == 2
        assert {error.line for error in report.errors} == set(range(2, 23)) - {3}
        assert all(error.message for error in report.errors)
        assert await engine.range("default", at(0), at(9)) == [at(1)]
        assert await engine.get_many("default", [at(2, 3)]) != [None]


@pytest.mark.parametrize("named", [("another", 1), (FORMAT, 99), (None, None)])
async def test_an_export_of_another_format_is_refused_whole(
    house: House, named: tuple[object, object]
) -> None:
    header = {"kind": "header", "format": named[0], "version": named[1]}
    line = b'{"coord": [1], "payload": {"text": "it may mean something else now"}}'
    async with house.open() as engine:
        with pytest.raises(InvalidInputError) as refused:
            await imported(engine, [json.dumps(header).encode(), line])
        assert refused.value.field == "version"
        assert await engine.range("default", at(0), at(9)) == []


async def test_plain_lines_are_stored_once(house: House) -> None:
    line = b'{"coord": [1], "payload": {"text": "x"}, "type": "semantic"}'
    async with house.open() as engine:
        for _ in range(2):
            assert (await imported(engine, [line], NS)).imported == 1
        memory = await engine.get(NS, A)
    assert (memory.version, memory.type) == (1, MemoryType.SEMANTIC)


async def test_a_plain_line_of_other_content_is_a_new_version(house: House) -> None:
    async with house.open() as engine:
        await imported(engine, [b'{"coord": [1], "payload": {"text": "x"}}'], NS)
        await imported(engine, [b'{"coord": [1], "payload": {"text": "y"}}'], NS)
        await imported(engine, [b'{"coord": [1], "payload": {"text": "y"}, "importance": 0.9}'], NS)
        memory = await engine.get(NS, A)
    assert (memory.version, memory.importance) == (3, 0.9)


async def test_no_more_history_is_imported_than_is_kept(engine: MemoryEngine) -> None:
    for number in range(8):
        await engine.store(NS, new(A, str(number)))
    lines = await exported(engine)
    async with open_house() as fresh, fresh.open(replace(SETTINGS, history_limit=2)) as other:
        assert (await imported(other, lines)).failed == 0
        assert [m.version for m in await other.history(NS, A)] == [10, 9, 8]
        await other.store(NS, new(A, "on"))
        assert [m.version for m in await other.history(NS, A)] == [11, 10, 9]


async def test_thousands_of_lines_are_imported_with_progress(house: House) -> None:
    lines = [b'{"coord": [%d], "payload": {"n": %d}}' % (n, n) for n in range(1200)]
    lines += [b'{"from_coord": [%d], "to_coord": [%d]}' % (n, n + 1) for n in range(1199)]
    told: list[int] = []

    async def stream() -> AsyncIterator[bytes]:
        for line in lines:
            yield line

    async with house.open() as engine:
        report = await engine.import_lines(stream(), default_namespace=NS, progress=told.append)
        assert (report.imported, report.links, report.failed) == (1200, 1199, 0)
        assert sum(told) == len(lines)
        assert (await engine.check()).consistent
        lines = await exported(engine)
        assert len(lines) == 2401


async def test_a_backend_that_fails_stops_an_import_which_can_be_repeated(house: House) -> None:
    lines = [b'{"coord": [%d], "payload": {"n": %d}}' % (n, n) for n in range(1200)]
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.kv.lose_reply("commit", nth=2)
        with pytest.raises(BackendUnavailableError):
            await imported(engine, lines, NS)
        assert (await imported(engine, lines, NS)).imported == 1200
        assert (await engine.stats(NS)).total_memories == 1200
        assert {m.version for m in await engine.get_many(NS, [at(n) for n in range(999)]) if m} == {
            1
        }


async def test_an_import_while_the_index_is_down_is_finished_later(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.vector.fail("upsert", times=None)
        report = await imported(engine, [b'{"coord": [1], "payload": {"text": "whale"}}'], NS)
        assert report.imported == 1
        faults.clear()
        await house.sweep(timedelta(minutes=1))
        assert await found(engine, "whale") == [A]


async def test_an_export_that_is_given_up_leaves_nothing_open(engine: MemoryEngine) -> None:
    lines = engine.export()
    await anext(lines)
    await anext(lines)
    await lines.aclose()
    with pytest.raises(NotFoundError):
        await engine.get(NS, Coordinate.of([99]))
