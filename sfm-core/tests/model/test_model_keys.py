from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfm_core.model import keys
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import KeyRange
from sfm_core.protocols.kv import MAX_KEY_BYTES
from sfm_core.testing.samples import HOSTILE_COORDINATES, HOSTILE_NAMES, coordinate
from sfm_core.testing.strategies import coordinates

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)


def inside(key: bytes, bounds: KeyRange) -> bool:
    return bounds.start <= key and (bounds.end is None or key < bounds.end)


@given(coordinates(), NAMES, coordinates())
def test_link_and_backlink_give_the_link_back(one: Coordinate, name: str, two: Coordinate) -> None:
    link = (one, name, two)
    assert keys.parse_link_key(keys.link_key(*link)) == link
    assert keys.parse_link_key(keys.backlink_key(*link)) == link


@given(
    st.tuples(coordinates(), NAMES, coordinates()), st.tuples(coordinates(), NAMES, coordinates())
)
def test_different_links_have_different_keys(
    one: tuple[Coordinate, str, Coordinate], other: tuple[Coordinate, str, Coordinate]
) -> None:
    assert (keys.link_key(*one) == keys.link_key(*other)) is (one == other)
    assert (keys.backlink_key(*one) == keys.backlink_key(*other)) is (one == other)


@given(st.binary(max_size=4), st.binary(max_size=6))
def test_a_prefix_range_holds_what_begins_with_it(prefix: bytes, key: bytes) -> None:
    assert inside(key, KeyRange.prefix(prefix)) is key.startswith(prefix)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [(b"", None), (b"a", b"b"), (b"a\xff", b"b"), (b"\xff\xff", None), (b"\x00", b"\x01")],
)
def test_the_successor_comes_after_all_that_begin_alike(
    prefix: bytes, expected: bytes | None
) -> None:
    assert keys.successor(prefix) == expected


@given(coordinates(), st.integers(1, 2**63 - 1), st.integers(1, 2**63 - 1))
def test_history_sorts_by_version(where: Coordinate, one: int, other: int) -> None:
    first, second = keys.history_key(where, one), keys.history_key(where, other)
    assert (first < second) is (one < other)


@given(st.integers(-5000, 5000), coordinates())
def test_what_is_due_is_in_the_expired_range(milliseconds: int, where: Coordinate) -> None:
    now = MOMENT.replace(microsecond=678_000)
    key = keys.expiry_key(now + timedelta(milliseconds=milliseconds), where)
    assert inside(key, keys.expired_range(now)) is (milliseconds <= 0)
    assert keys.expiring_coordinate(key) == where


@given(
    NAMES,
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    coordinates(),
)
def test_an_episode_sorts_by_order(name: str, one: float, other: float, where: Coordinate) -> None:
    first, second = keys.episode_key(name, one, where), keys.episode_key(name, other, where)
    assert (first < second) is (one < other)
    assert keys.episode_coordinate(first) == where


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_an_episode_holds_its_own_members_only(name: str) -> None:
    bounds = KeyRange.prefix(keys.episode_prefix(name))
    members = [
        other
        for other in (*HOSTILE_NAMES, name + "2")
        if inside(keys.episode_key(other, 1.0, coordinate(1.0)), bounds)
    ]
    assert members == [name]


def test_the_kinds_of_keys_do_not_overlap() -> None:
    kinds = {
        keys.memory_key(coordinate(1.0))[:1],
        keys.history_key(coordinate(1.0), 1)[:1],
        keys.access_key(coordinate(1.0))[:1],
        keys.expiry_key(MOMENT, coordinate(1.0))[:1],
        keys.episode_key("e", 1.0, coordinate(1.0))[:1],
        keys.link_key(coordinate(1.0), "t", coordinate(2.0))[:1],
        keys.backlink_key(coordinate(1.0), "t", coordinate(2.0))[:1],
    }
    assert len(kinds) == 7


def test_the_longest_link_fits_into_a_key() -> None:
    longest = Coordinate.of([1.5] * 64)
    assert len(keys.link_key(longest, "t" * 128, longest)) <= MAX_KEY_BYTES
    assert len(keys.episode_key("e" * 128, 1.0, longest)) <= MAX_KEY_BYTES


def test_a_memory_has_one_point_id_and_shares_it_with_none() -> None:
    ids = [keys.point_id(name, where) for name in HOSTILE_NAMES for where in HOSTILE_COORDINATES]
    assert len(set(ids)) == len(ids)
    assert str(keys.point_id("default", coordinate(1.0, 2.0))) == str(
        keys.point_id("default", Coordinate.parse("1.0, 2.0"))
    )
