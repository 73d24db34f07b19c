from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfm_core.errors import InvalidCoordinateError
from sfm_core.model.coordinate import MAX_COMPONENTS, Coordinate
from sfm_core.testing.samples import HOSTILE_COORDINATES
from sfm_core.testing.strategies import coordinates

FINITE = st.floats(allow_nan=False, allow_infinity=False)
PAIRS = st.integers(1, 4).flatmap(
    lambda size: st.tuples(*[st.lists(FINITE, min_size=size, max_size=size)] * 2)
)


@given(coordinates())
def test_the_key_gives_the_coordinate_back(where: Coordinate) -> None:
    assert Coordinate.from_key(where.key) == where


@given(coordinates())
def test_the_text_gives_the_coordinate_back(where: Coordinate) -> None:
    assert Coordinate.parse(str(where)) == where


@given(PAIRS)
def test_keys_sort_as_numbers_do(pair: tuple[list[float], list[float]]) -> None:
    one, other = map(Coordinate.of, pair)
    assert (one.key < other.key) is (one.components < other.components)


@pytest.mark.parametrize("where", HOSTILE_COORDINATES, ids=str)
def test_hostile_coordinates_survive_both_forms(where: Coordinate) -> None:
    assert Coordinate.parse(str(where)) == Coordinate.from_key(where.key) == where


def test_hostile_coordinates_have_different_keys() -> None:
    assert len({where.key for where in HOSTILE_COORDINATES}) == len(HOSTILE_COORDINATES)


@given(coordinates(), coordinates())
def test_no_key_is_the_beginning_of_another(one: Coordinate, other: Coordinate) -> None:
    assert one == other or not other.key.startswith(one.key)


def test_minus_zero_is_zero() -> None:
    where = Coordinate.of([-0.0, -1.0])
    assert math.copysign(1.0, where.components[0]) == 1.0
    assert where.key == Coordinate.of([0.0, -1.0]).key


def test_minus_zero_is_zero_in_text() -> None:
    assert str(Coordinate.parse("-0.0")) == "0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5,2,-3", (1.5, 2.0, -3.0)),
        (" 1 ,\t2\r\n", (1.0, 2.0)),
        ("1e3,2E-1,+4", (1000.0, 0.2, 4.0)),
        ("5", (5.0,)),
    ],
)
def test_the_wire_form_is_read(text: str, expected: tuple[float, ...]) -> None:
    assert Coordinate.parse(text).components == expected


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ((1.5, 2.0, -3.0), "1.5,2,-3"),
        ((1e15,), "1000000000000000"),
        ((1.0 - 2.0**53,), "-9007199254740991"),
        ((0.1 + 0.2,), "0.30000000000000004"),
    ],
)
def test_the_wire_form_is_short_and_exact(components: tuple[float, ...], expected: str) -> None:
    assert str(Coordinate(components)) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", ",", "1,", "1,,2", "a", "1;2", "nan", "inf", "-inf", "1e400", "0x10", "1,\x00"],
)
def test_a_malformed_text_is_refused_with_the_field(text: str) -> None:
    with pytest.raises(InvalidCoordinateError) as caught:
        Coordinate.parse(text, field="from_coord")
    assert caught.value.field == "from_coord"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text", ["1_0", "1e1_0", "\u0661", "\uff11", "\u00a01", "1\x1c", "--1", "1 0", "e5"]
)
def test_what_is_a_number_in_python_only_is_refused(text: str) -> None:
    with pytest.raises(InvalidCoordinateError, match="is not a list of numbers"):
        Coordinate.parse(text)


@pytest.mark.parametrize(
    "components", [[], [math.nan], [math.inf], [-math.inf], [True], ["1"], [None], [10**400]]
)
def test_what_is_no_finite_number_is_refused(components: list[float]) -> None:
    with pytest.raises(InvalidCoordinateError):
        Coordinate.of(components)


def test_the_most_components_are_accepted_and_one_more_is_refused() -> None:
    numbers = [float(number) for number in range(MAX_COMPONENTS)]
    assert Coordinate.parse(",".join(map(str, numbers))) == Coordinate.of(numbers)
    with pytest.raises(InvalidCoordinateError, match="64"):
        Coordinate.of([*numbers, 1.0])
    with pytest.raises(InvalidCoordinateError, match="64"):
        Coordinate.parse("1," * MAX_COMPONENTS + "1")


@pytest.mark.parametrize("key", [b"", b"\x00", b"\x01", b"\x01" + b"x" * 7, b"\x41" + b"x" * 520])
def test_bytes_that_are_no_key_are_refused(key: bytes) -> None:
    with pytest.raises(InvalidCoordinateError):
        Coordinate.from_key(key)


@pytest.mark.parametrize(
    ("where", "inside"),
    [
        ((1.0, 5.0), True),
        ((0.0, 0.0), True),
        ((3.0, 9.0), True),
        ((3.1, 5.0), False),
        ((1.0,), False),
    ],
)
def test_a_range_is_a_box_with_its_edges(where: tuple[float, ...], *, inside: bool) -> None:
    low, high = Coordinate.of([0.0, 0.0]), Coordinate.of([3.0, 9.0])
    assert Coordinate(where).within(low, high) is inside


def test_a_range_between_different_lengths_is_empty() -> None:
    assert not Coordinate.of([1.0]).within(Coordinate.of([0.0]), Coordinate.of([2.0, 2.0]))
