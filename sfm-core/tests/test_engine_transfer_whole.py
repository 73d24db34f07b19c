"""Whether an export is whole, what an import would do, and how much memory either takes."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator

import pytest
from engine_house import NS, at, new, open_house

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.report import ImportReport

FEW, MANY = 600, 3000
SLACK = 2_000_000


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    async with open_house() as house, house.open() as made:
        for number in range(3):
            await made.store(NS, new(at(number), f"fact {number}"))
        await made.store(NS, new(at(0), "another"))
        await made.link(NS, at(0), at(1))
        yield made


@pytest.fixture
async def empty() -> AsyncIterator[MemoryEngine]:
    async with open_house() as house, house.open() as made:
        yield made


async def exported(engine: MemoryEngine) -> list[bytes]:
    return [line async for line in engine.export()]


async def imported(
    engine: MemoryEngine, lines: Iterable[bytes], *, dry_run: bool = False
) -> ImportReport:
    async def stream() -> AsyncIterator[bytes]:
        for line in lines:
            yield line

    return await engine.import_lines(stream(), default_namespace=NS, dry_run=dry_run)


async def test_the_last_line_counts_and_has_the_checksum_of_the_others(
    engine: MemoryEngine,
) -> None:
    *lines, last = await exported(engine)
    content = b"".join(line + b"\n" for line in lines)
    assert json.loads(last) == {
        "kind": "footer",
        "memories": 3,
        "history": 1,
        "links": 1,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


async def test_a_changed_line_is_noticed(engine: MemoryEngine, empty: MemoryEngine) -> None:
    lines = [line.replace(b"fact 2", b"fact 9") for line in await exported(engine)]
    report = await imported(empty, lines)
    assert [error.line for error in report.errors] == [len(lines)]
    assert "checksum" in report.errors[0].message


async def test_other_line_ends_and_blank_lines_change_nothing(
    engine: MemoryEngine, empty: MemoryEngine
) -> None:
    lines = [line + b"\r" for line in await exported(engine)]
    assert (await imported(empty, [b"", *lines, b""])).failed == 0


async def test_an_export_without_checksum_is_taken(
    engine: MemoryEngine, empty: MemoryEngine
) -> None:
    *lines, _ = await exported(engine)
    footer = b'{"kind":"footer","memories":3,"links":1}'
    assert (await imported(empty, [*lines, footer])).failed == 0


async def test_exports_one_after_the_other_are_one_import(
    engine: MemoryEngine, empty: MemoryEngine
) -> None:
    lines = await exported(engine)
    report = await imported(empty, [*lines, *lines])
    assert (report.failed, (await empty.stats(NS)).total_memories) == (0, 3)
    assert (await imported(empty, [*lines, *lines[:-1]])).failed == 1


async def test_a_dry_run_says_what_an_import_would_and_stores_nothing(
    engine: MemoryEngine, empty: MemoryEngine
) -> None:
    lines = await exported(engine)
    report = await imported(empty, lines, dry_run=True)
    assert (report.imported, report.links, report.failed) == (3, 1, 0)
    assert await empty.namespaces() == []


BAD = [
    b"not json",
    b'{"coord": [], "payload": {}}',
    b'{"coord": [1], "payload": {}, "importance": 2}',
    b'{"coord": [1], "payload": {"a": 1e999}}',
    b'{"coord": [1], "payload": {"\\ud800": 1}, "version": 3}',
    b'{"kind": "history", "coord": [1], "payload": {}, "version": 1}',
    b'{"coord": [1], "payload": {}, "namespace": "a\\u0000b"}',
    b'{"kind": "link", "from_coord": [1], "to_coord": [1], "weight": -1}',
    b'{"kind": "footer", "memories": 5, "links": 0}',
]


async def test_a_dry_run_finds_the_lines_that_an_import_leaves_out(empty: MemoryEngine) -> None:
    tried = await imported(empty, BAD, dry_run=True)
    assert (await imported(empty, BAD)).errors == tried.errors
    assert [error.line for error in tried.errors] == list(range(1, len(BAD) + 1))


async def test_progress_ends_with_the_last_line(engine: MemoryEngine, empty: MemoryEngine) -> None:
    lines = [*await exported(engine), b"not json"]
    told: list[int] = []

    async def stream() -> AsyncIterator[bytes]:
        for line in lines:
            yield line

    await empty.import_lines(stream(), default_namespace=NS, progress=told.append)
    assert sum(told) == len(lines)


def plain_lines(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b'{"coord": [%d], "payload": {"text": "fact %d"}}' % (number, number)


async def peak_of_import(engine: MemoryEngine, lines: Iterable[bytes], *, dry_run: bool) -> int:
    tracemalloc.start()
    try:
        await imported(engine, lines, dry_run=dry_run)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_looking_at_more_lines_takes_no_more_memory(empty: MemoryEngine) -> None:
    few = await peak_of_import(empty, plain_lines(FEW), dry_run=True)
    many = await peak_of_import(empty, plain_lines(MANY), dry_run=True)
    assert many < few + SLACK


async def test_importing_more_lines_takes_no_more_memory(empty: MemoryEngine) -> None:
    # What is there already is not stored again, so the store itself does not grow.
    await imported(empty, plain_lines(MANY))
    few = await peak_of_import(empty, plain_lines(FEW), dry_run=False)
    many = await peak_of_import(empty, plain_lines(MANY), dry_run=False)
    assert many < few + SLACK


async def test_exporting_more_lines_takes_no_more_memory() -> None:
    peaks: list[int] = []
    for count in (FEW, MANY):
        async with open_house() as house, house.open() as engine:
            await imported(engine, plain_lines(count))
            tracemalloc.start()
            async for _ in engine.export():
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + SLACK


def endless_history(count: int) -> Iterator[bytes]:
    yield b'{"coord": [1], "payload": {}, "version": 1000000}'
    for number in range(count):
        version = 999_999 - number % 1000
        yield b'{"kind": "history", "coord": [1], "payload": {}, "version": %d}' % version


async def test_history_without_end_takes_no_more_memory(empty: MemoryEngine) -> None:
    few = await peak_of_import(empty, endless_history(FEW), dry_run=False)
    many = await peak_of_import(empty, endless_history(MANY), dry_run=False)
    assert many < few + SLACK
