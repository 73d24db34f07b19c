"""Derived stores that were exchanged may hold the state of an earlier time."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from engine_house import NS, at, eventually, found, new

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots

A, B = at(1), at(2)
SLOTS = Slots(
    kv="memory:", vector="memory:a", graph="memory:a", cache="memory:", embedder="hashing:"
)


@pytest.mark.parametrize("port", ["vector", "graph"])
async def test_a_store_that_comes_back_is_compared_with_the_truth(
    tmp_path: Path, port: str
) -> None:
    context = BackendContext(data_folder=tmp_path)
    registry = load_plugins().registry

    def engine_on(place: str) -> AbstractAsyncContextManager[MemoryEngine]:
        slots = replace(SLOTS, **{port: f"memory:{place}"})
        return open_engine(slots=slots, registry=registry, context=context)

    async with engine_on("a") as engine:
        await engine.store_many(NS, [new(A, "whale"), new(B, "whale")])
        await engine.link(NS, A, B)
    async with engine_on("b") as engine:
        await eventually(lambda: not engine.rebuilding)
        await engine.store(NS, new(A, "shark"))
        await engine.unlink(NS, A, B)
    async with engine_on("a") as engine:
        await eventually(lambda: not engine.rebuilding)
        assert (await engine.check()).consistent
        assert await found(engine, "shark", 1) == [A]
        assert await engine.neighbors(NS, A) == []
