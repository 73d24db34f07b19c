"""Lines that are no export: all that they say is done, or they are refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta

import pytest
from engine_house import NS, House, at, new, open_house, turns_of_others

from sfm_core.engine.import_lines import MOST
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.report import ImportReport

A, B = at(1), at(2)
LINE = {"coord": [1], "payload": {"text": "x"}}
LINK = {"from_coord": [1], "to_coord": [2]}
TIME = "2026-01-01T00:00:00Z"


async def exported(engine: MemoryEngine) -> list[bytes]:
    return [line async for line in engine.export()]


async def imported(engine: MemoryEngine, lines: Iterable[object]) -> ImportReport:
    async def stream() -> AsyncIterator[bytes]:
        for line in lines:
            yield line if isinstance(line, bytes) else json.dumps(line).encode()

    return await engine.import_lines(stream(), default_namespace=NS)


@pytest.mark.parametrize("kind", [[], {}, None, 1, "footer "])
async def test_a_kind_that_is_none_is_an_error_of_its_line(
    engine: MemoryEngine, kind: object
) -> None:
    report = await imported(engine, [{"kind": kind, **LINE}, LINE])
    assert ([error.line for error in report.errors], report.imported) == ([1], 1)


async def test_a_line_says_when_its_memory_expires(house: House, engine: MemoryEngine) -> None:
    end = house.clock.now() + timedelta(hours=1)
    line = LINE | {"expires_at": end.isoformat()}
    for _ in range(2):
        assert (await imported(engine, [line])).imported == 1
    memory = await engine.get(NS, A)
    assert (memory.expires_at, memory.version) == (end, 1)
    later = LINE | {"expires_at": (end + timedelta(hours=1)).isoformat()}
    await imported(engine, [later])
    assert (await engine.get(NS, A)).version == 2


async def test_a_line_whose_memory_has_expired_stores_nothing(engine: MemoryEngine) -> None:
    report = await imported(engine, [LINE | {"expires_at": TIME}])
    assert (report.imported, report.expired, report.failed) == (0, 1, 0)
    assert await engine.namespaces() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("created_at", TIME), ("updated_at", TIME), ("last_accessed_at", TIME), ("access_count", 7)],
)
async def test_what_belongs_to_a_version_is_refused_without_one(
    engine: MemoryEngine, name: str, value: object
) -> None:
    [error] = (await imported(engine, [LINE | {name: value}])).errors
    assert name in error.message
    assert (await imported(engine, [LINE | {name: value, "version": 1}])).imported == 1


@pytest.mark.parametrize("name", ["updated_at", "from_created_at", "to_created_at"])
async def test_what_belongs_to_the_version_of_a_link_is_refused_without_one(
    engine: MemoryEngine, name: str
) -> None:
    [error] = (await imported(engine, [LINK | {name: TIME}])).errors
    assert name in error.message


async def test_a_line_of_a_link_sets_its_weight(engine: MemoryEngine) -> None:
    await engine.store(NS, new(A))
    await engine.store(NS, new(B))
    for weight, version in [(1.0, 1), (5.0, 2), (5.0, 2), (1.0, 3)]:
        assert (await imported(engine, [LINK | {"weight": weight}])).links == 1
        [link] = await engine.neighbors(NS, A)
        assert (link.weight, link.version) == (weight, version)


@pytest.mark.parametrize("name", ["version", "access_count"])
async def test_a_number_from_which_it_cannot_be_counted_on_is_refused(
    engine: MemoryEngine, name: str
) -> None:
    line = {**LINE, "version": 1, name: MOST + 1}
    [error] = (await imported(engine, [line])).errors
    assert name in error.message


async def test_the_highest_version_is_counted_on_from_and_exported(engine: MemoryEngine) -> None:
    assert (await imported(engine, [{**LINE, "version": MOST}])).imported == 1
    await engine.store(NS, new(A, "next"))
    lines = await exported(engine)
    async with open_house() as fresh, fresh.open() as other:
        assert (await imported(other, lines)).failed == 0
        assert (await other.get(NS, A)).version == MOST + 1


async def test_an_export_that_was_cut_short_before_another_one_is_noticed(
    engine: MemoryEngine,
) -> None:
    await engine.store(NS, new(A))
    lines = await exported(engine)
    async with open_house() as fresh, fresh.open() as other:
        report = await imported(other, [*lines[:-1], *lines])
        assert [error.line for error in report.errors] == [len(lines)]
        assert "cut short" in report.errors[0].message
        assert (await imported(other, [lines[0], *lines])).failed == 1


@pytest.mark.parametrize("line", [b"", b"{}"], ids=["empty", "not understood"])
async def test_lines_that_come_to_nothing_leave_others_their_turn(
    engine: MemoryEngine, line: bytes
) -> None:
    async with turns_of_others() as turns:
        await imported(engine, [line] * 10_000)
    assert turns.taken >= 100
