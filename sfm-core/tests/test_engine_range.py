"""Ranges are boxes, whatever the numbers in them."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from engine_house import NS, Faults, at, new, open_house
from hypothesis import given, settings
from hypothesis import strategies as st

from sfm_core.engine.portions import Portion
from sfm_core.errors import InvalidInputError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import MemoryType

_numbers = st.sampled_from([-1e300, -2.0, -1.0, -0.5, -0.0, 0.0, 5e-324, 0.5, 1.0, 2.0, 1e300])
_coordinates = st.lists(_numbers, min_size=1, max_size=3).map(Coordinate.of)


async def test_corners_belong_to_the_box_and_answers_ascend() -> None:
    async with open_house() as house, house.open() as engine:
        grid = [at(x, y) for x in (2, -1, 0, 1) for y in (1, 0, -2)]
        await engine.store_many(NS, [new(c, "x") for c in grid])
        assert await engine.range(NS, at(-1, 0), at(1, 1)) == [
            at(-1, 0),
            at(-1, 1),
            at(0, 0),
            at(0, 1),
            at(1, 0),
            at(1, 1),
        ]


async def test_minus_zero_is_zero() -> None:
    async with open_house() as house, house.open() as engine:
        await engine.store(NS, new(at(-0.0, 1)))
        assert (await engine.get(NS, at(0.0, 1))).version == 1
        assert await engine.range(NS, at(0.0, 1), at(-0.0, 1)) == [at(0, 1)]


async def test_a_box_can_be_narrowed_by_type_and_limited() -> None:
    async with open_house() as house, house.open() as engine:
        kinds = list(MemoryType)
        await engine.store_many(NS, [new(at(n), "x", type=kinds[n % 2]) for n in range(10)])
        only = await engine.range(NS, at(0), at(9), type=MemoryType.EPISODIC)
        assert only == [at(n) for n in range(0, 10, 2)]
        assert await engine.range(NS, at(0), at(9), limit=3) == [at(0), at(1), at(2)]


async def test_a_box_with_corners_the_wrong_way_round_is_empty() -> None:
    async with open_house() as house, house.open() as engine:
        await engine.store(NS, new(at(1, 1)))
        assert await engine.range(NS, at(2, 0), at(0, 2)) == []
        assert await engine.range(NS, at(0, 2), at(2, 0)) == []


async def test_corners_of_different_lengths_are_refused() -> None:
    async with open_house() as house, house.open() as engine:
        with pytest.raises(InvalidInputError) as refusal:
            await engine.range(NS, at(0), at(1, 1))
        assert refusal.value.field == "max"


async def test_a_thin_box_in_a_wide_space_is_found_without_reading_all_of_it() -> None:
    faults = Faults()
    async with open_house() as house, house.open(faults=faults) as engine:
        for x in range(8):
            await engine.store_many(NS, [new(at(x, y), "x") for y in range(1000)])
        faults.kv.calls.clear()
        assert await engine.range(NS, at(0, 500), at(7, 501)) == [
            at(x, y) for x in range(8) for y in (500, 501)
        ]
        assert faults.kv.calls["scan"] <= 2 * 8 + 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    kept=st.sets(_coordinates, max_size=40),
    corners=st.integers(1, 3).flatmap(
        lambda n: st.tuples(
            *(st.lists(_numbers, min_size=n, max_size=n).map(Coordinate.of) for _ in range(2))
        )
    ),
    limit=st.sampled_from([1, 3, 1000]),
    page=st.sampled_from([1, 2, 256]),
)
def test_a_range_is_what_looking_at_every_memory_finds(
    kept: set[Coordinate], corners: tuple[Coordinate, ...], limit: int, page: int
) -> None:
    low, high = corners
    expected = sorted((c for c in kept if c.within(low, high)), key=lambda c: c.key)[:limit]
    found = asyncio.run(_range(kept, low, high, limit=limit, page=page))
    assert found == expected


async def _range(
    kept: set[Coordinate], low: Coordinate, high: Coordinate, *, limit: int, page: int
) -> list[Coordinate]:
    with pytest.MonkeyPatch.context() as patch:
        # Small pages bring every leap of the scan into play.
        patch.setattr("sfm_core.engine.reading.Portion", partial(Portion, first=page, most=page))
        async with open_house() as house, house.open() as engine:
            await engine.store_many(NS, [new(c, "x") for c in sorted(kept)])
            return await engine.range(NS, low, high, limit=limit)
