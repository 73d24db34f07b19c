"""What most tests of the engine begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from engine_house import NS, House, at, new, open_house

from sfm_core.engine.memory_engine import MemoryEngine


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as made:
        yield made


@pytest.fixture
async def whales(house: House) -> None:
    """Have an engine leave twenty memories in the house."""
    async with house.open() as engine:
        await engine.store_many(NS, [new(at(n), f"whale number {n}") for n in range(20)])


@pytest.fixture
async def engine(house: House) -> AsyncIterator[MemoryEngine]:
    async with house.open() as made:
        yield made
