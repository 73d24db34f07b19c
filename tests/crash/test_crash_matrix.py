from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.query import RecallQuery
from sfm_core.testing.clock import ManualClock
from tests.crash_oracle import Slot, Task
from tests.fix_crash import KEYS, SHARED_KEYS, Mortal
from tests.fix_engine import OpenEmbedded

EVERY = 10
HISTORY = 10
SHARED_TASK = 100


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_nothing_acknowledged_is_lost_however_often_the_process_is_killed(
    mortal: Mortal,
    open_embedded: OpenEmbedded,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, int], None],
) -> None:
    points = cast("int", pytestconfig.getoption("--crash-points"))
    for point in range(1, points + 1):
        await asyncio.to_thread(mortal.live_and_die)
        if point % EVERY == 0 or point == points:
            async with open_embedded(mortal.folder) as engine:
                await holds_what_was_acknowledged(mortal, engine)
                await engine.check(repair=True)
                await derived_stores_agree(mortal, engine)

    record_property("acknowledged", mortal.acknowledged)
    record_property("cut off", mortal.in_the_middle)
    assert mortal.acknowledged > points
    with closing(sqlite3.connect(mortal.folder / "sfm.db")) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.timeout(300)
async def test_what_dead_processes_left_undone_is_adopted_without_a_repair(
    mortal: Mortal, open_embedded: OpenEmbedded
) -> None:
    for _ in range(20):
        await asyncio.to_thread(mortal.live_and_die)

    # By then the leases of the dead are over.
    clock = ManualClock(datetime.now(UTC) + timedelta(hours=1))
    async with open_embedded(mortal.folder, clock=clock) as engine, asyncio.timeout(60):
        # The first round of upkeep tells nobody, and on a slow disk does not wait for its end.
        while not clock.sleepers or (await engine.health()).outbox_depth != 0:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await derived_stores_agree(mortal, engine)


async def holds_what_was_acknowledged(mortal: Mortal, engine: MemoryEngine) -> None:
    for number, task in enumerate(mortal.tasks):
        space = f"crash-{number % 2}"
        task.reads(await slots(engine, space, places(number, KEYS)))
        await keeps_history(engine, space, number, task)
    shared = await slots(engine, "shared", places(SHARED_TASK, SHARED_KEYS))
    for key, slot in enumerate(shared):
        mortal.shared.reads(key, slot)


async def keeps_history(engine: MemoryEngine, space: str, number: int, task: Task) -> None:
    for key, known in task.acknowledged.items():
        versions = await engine.history(space, Coordinate((float(number), float(key))))
        marks = {memory.version: memory.payload["mark"] for memory in versions}
        kept = {v: mark for v, mark in known.items() if v > max(marks) - HISTORY}
        assert kept.items() <= marks.items()


async def derived_stores_agree(mortal: Mortal, engine: MemoryEngine) -> None:
    report = await engine.check()
    assert report.consistent, report
    for number, task in enumerate(mortal.tasks):
        space = f"crash-{number % 2}"
        task.follows(await links(engine, space, places(number, KEYS)))
        for memory in await engine.get_many(space, places(number, KEYS)):
            if memory is not None:
                query = RecallQuery(text=str(memory.payload["text"]), top_k=3)
                found = await engine.recall(space, query)
                assert memory.coordinate in [one.memory.coordinate for one in found]


def places(task: int, keys: int) -> list[Coordinate]:
    return [Coordinate((float(task), float(key))) for key in range(keys)]


async def slots(
    engine: MemoryEngine, space: str, coordinates: list[Coordinate]
) -> list[Slot | None]:
    memories = await engine.get_many(space, coordinates)
    return [Slot(m.version, str(m.payload["mark"])) if m else None for m in memories]


async def links(
    engine: MemoryEngine, space: str, coordinates: list[Coordinate]
) -> frozenset[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for coordinate in coordinates:
        for link in await engine.neighbors(space, coordinate):
            found.add((int(link.source.components[1]), int(link.target.components[1])))
    return frozenset(found)
