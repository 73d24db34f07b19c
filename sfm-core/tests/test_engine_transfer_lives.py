"""An import brings back what lives: nothing whose time is over, and links only between the lives
that they belonged to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta

import pytest
from engine_house import NS, House, at, new, open_house

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import NotFoundError
from sfm_core.model.report import ImportReport

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
A, B, C = at(1), at(2), at(3)


@pytest.fixture
async def engine(house: House) -> AsyncIterator[MemoryEngine]:
    """A, and B that links with it and lives for a day."""
    async with house.open() as made:
        await made.store(NS, new(A, "first"))
        await made.store(NS, new(B, "before", ttl=DAY))
        await made.store(NS, new(B, "short", ttl=DAY))
        await made.link(NS, A, B, weight=0.5)
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


def counts(report: ImportReport) -> dict[str, int]:
    names = ("imported", "links", "expired", "passed_over", "failed")
    return {name: count for name in names if (count := getattr(report, name))}


async def test_what_has_expired_since_is_counted_and_not_stored(engine: MemoryEngine) -> None:
    lines = await exported(engine)
    async with open_house() as fresh:
        await fresh.clock.advance(2 * DAY)
        async with fresh.open() as other:
            for _ in range(2):
                report = await imported(other, lines)
                assert counts(report) == {"imported": 1, "expired": 1, "passed_over": 1}
            with pytest.raises(NotFoundError):
                await other.history(NS, B)
            assert (await other.stats(NS)).total_memories == 1
            assert (await other.check()).consistent


async def test_a_dry_run_tells_what_has_expired(house: House, engine: MemoryEngine) -> None:
    lines = await exported(engine)
    await house.sweep(2 * DAY)
    report = await imported(engine, lines, dry_run=True)
    assert counts(report) == {"imported": 1, "expired": 1, "links": 1}


async def test_importing_what_expired_here_changes_nothing(
    house: House, engine: MemoryEngine
) -> None:
    lines = await exported(engine)
    await house.sweep(2 * DAY)
    before = await engine.history(NS, B)
    report = await imported(engine, lines)
    assert counts(report) == {"imported": 1, "expired": 1, "passed_over": 1}
    assert await engine.history(NS, B) == before


async def test_an_export_that_tells_no_lives_has_its_links_go_with_what_has_expired(
    house: House, engine: MemoryEngine
) -> None:
    lines = [line for line in await exported(engine) if b'"header"' not in line][:-1]
    link = json.loads(lines.pop())
    del link["from_created_at"], link["to_created_at"]
    lines.append(json.dumps(link).encode())
    lines.append(json.dumps(link | {"to_coord": [9]}).encode())
    async with open_house() as fresh:
        await fresh.clock.advance(2 * DAY)
        async with fresh.open() as other:
            report = await imported(other, lines)
    assert counts(report) == {"imported": 1, "expired": 1, "passed_over": 1, "failed": 1}
    await house.sweep(2 * DAY)
    assert counts(await imported(engine, lines))["passed_over"] == 1


async def test_a_link_is_not_given_to_another_memory_in_the_place_of_its_end(
    house: House, engine: MemoryEngine
) -> None:
    lines = await exported(engine)
    await engine.delete(NS, A)
    await house.sweep(HOUR)
    await engine.store(NS, new(A, "another"))
    report = await imported(engine, lines)
    assert counts(report) == {"imported": 2, "passed_over": 1}
    assert await engine.neighbors(NS, A) == []


async def test_a_link_comes_back_to_an_end_that_came_back(
    house: House, engine: MemoryEngine
) -> None:
    lines = await exported(engine)
    await house.sweep(HOUR)
    await engine.delete(NS, A)
    for _ in range(2):
        assert counts(await imported(engine, lines)) == {"imported": 2, "links": 1}
    assert [link.weight for link in await engine.neighbors(NS, A)] == [0.5]
    # Of the life that came back, a new export tells the same.
    assert counts(await imported(engine, await exported(engine))) == {"imported": 2, "links": 1}


async def test_a_link_whose_end_is_not_there_is_passed_over(engine: MemoryEngine) -> None:
    lines = [line for line in await exported(engine) if b'"short"' not in line]
    async with open_house() as fresh, fresh.open() as other:
        assert (await imported(other, lines)).passed_over == 1
