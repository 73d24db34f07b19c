"""What an export says of memories that others write or purge meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from engine_house import NS, SETTINGS, Faults, House, at, new

from sfm_core.engine.memory_engine import MemoryEngine


async def exported(engine: MemoryEngine) -> list[bytes]:
    return [line async for line in engine.export()]


def versions(lines: Iterable[bytes], kind: str) -> list[int]:
    documents = [json.loads(line) for line in lines]
    return [one["version"] for one in documents if one["kind"] == kind]


async def test_what_is_replaced_during_an_export_keeps_its_history_in_it(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine, house.open() as other:
        for number in range(3):
            await other.store(NS, new(at(1), f"version {number}"))
        gate = faults.kv.hold_reply("scan", nth=1)
        export = asyncio.create_task(exported(engine))
        await gate.reached()
        await other.store(NS, new(at(1), "meanwhile"))
        gate.open()
        lines = await export
        assert (versions(lines, "memory"), versions(lines, "history")) == ([3], [1, 2])


@pytest.mark.parametrize("nth", [1, 2])
async def test_what_is_purged_during_an_export_is_not_in_it(house: House, nth: int) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine, house.open() as other:
        for number in range(3):
            await other.store(NS, new(at(1), f"secret {number}"))
        gate = faults.kv.hold_reply("scan", nth=nth)
        export = asyncio.create_task(exported(engine))
        await gate.reached()
        await other.purge(NS, at(1))
        await other.store(NS, new(at(1), "another"))
        gate.open()
        assert b"secret" not in b"".join(await export)


async def test_the_newest_versions_are_exported_where_more_are_kept(house: House) -> None:
    async with house.open() as engine:
        for number in range(6):
            await engine.store(NS, new(at(1), f"version {number}"))
    async with house.open(replace(SETTINGS, history_limit=2)) as engine:
        assert versions(await exported(engine), "history") == [4, 5]
    async with house.open(replace(SETTINGS, history_limit=0)) as engine:
        assert versions(await exported(engine), "history") == []
