"""The coordinate just before another, which makes one point of an ordered listing reachable."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given

from sfm_core.model.coordinate import Coordinate
from sfm_core.testing.strategies import coordinates

LEAST = -sys.float_info.max


@given(coordinates())
def test_nothing_is_between_a_coordinate_and_the_one_before(coordinate: Coordinate) -> None:
    before = coordinate.before()
    if before is None:
        assert coordinate.components == (LEAST,)
        return
    one, other = before.key, coordinate.key
    assert one < other
    assert Coordinate.from_key(one) == before
    if one[0] == other[0]:
        steps = int.from_bytes(other[1:], "big") - int.from_bytes(one[1:], "big")
        # Keys between are of infinities and numbers that are none, which no coordinate has.
        assert steps == 1 or LEAST in coordinate.components or 0.0 in coordinate.components


@pytest.mark.parametrize(
    ("components", "before"),
    [
        ((LEAST,), None),
        ((LEAST, LEAST), (sys.float_info.max,)),
        ((1.0, LEAST), (0.9999999999999999, sys.float_info.max)),
        ((0.0,), (-5e-324,)),
        ((5e-324,), (0.0,)),
    ],
)
def test_ends_are_stepped_over(
    components: tuple[float, ...], before: tuple[float, ...] | None
) -> None:
    made = Coordinate(components).before()
    assert (None if made is None else made.components) == before
