"""Positions as text: short, exact, and harmless whatever somebody makes up."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfm_core.errors import InvalidInputError, InvalidPositionError, LimitExceededError
from sfm_core.model.position import (
    MAX_CHARACTERS,
    MAX_NOTES,
    WritePosition,
    digest_of,
    joined,
    parse_positions,
)

TRUTH = digest_of("a truth")

numbers = st.integers(0, 2**63 - 1).map(str)
names = st.text(st.characters(codec="utf-8"), max_size=20)
positions = st.builds(
    WritePosition,
    truth=st.just(TRUTH),
    epoch=st.integers(1, 10**9),
    notes=st.lists(numbers | names, max_size=20, unique=True).map(tuple),
)


def of(*notes: str) -> WritePosition:
    return WritePosition(truth=TRUTH, epoch=1, notes=notes)


@given(positions)
def test_a_position_comes_back_as_it_was_but_for_the_order_of_its_notes(
    position: WritePosition,
) -> None:
    [read] = parse_positions(str(position))
    assert (read.truth, read.epoch) == (position.truth, position.epoch)
    assert sorted(read.notes) == sorted(position.notes)


@given(st.lists(st.integers(0, 500), unique=True))
def test_numbers_in_any_order_and_distance_come_back(ids: list[int]) -> None:
    [read] = parse_positions(str(of(*map(str, ids))))
    assert read.notes == tuple(map(str, sorted(ids)))


@given(positions)
def test_a_position_needs_no_quoting(position: WritePosition) -> None:
    assert re.fullmatch(r"[\w.~=-]+", str(position), re.ASCII)


@pytest.mark.parametrize("note", ["007", "٣", "+1", "1_0", " 1", "", "9" * 19, "9" * 30, "é"])
def test_an_id_that_is_no_plain_number_is_not_taken_for_one(note: str) -> None:
    [read] = parse_positions(str(of(note, "7")))
    assert set(read.notes) == {note, "7"}


def test_a_position_of_a_bulk_in_a_row_is_short() -> None:
    assert len(str(of(*map(str, range(10**9, 10**9 + 1000))))) < 40


def test_a_position_of_a_bulk_among_those_of_others_is_a_few_kilobytes() -> None:
    assert len(str(of(*map(str, range(10**9, 10**9 + 4000, 4))))) < 4096


def test_several_positions_are_one_text() -> None:
    one, other = of("1", "2"), WritePosition(truth=digest_of("another"), epoch=3, notes=("9",))
    assert parse_positions(f"{one}, {other}") == [one, other]
    assert parse_positions(joined([one, other])) == [one, other]


def test_what_several_writes_owe_to_one_truth_is_joined() -> None:
    assert parse_positions(joined([of("1"), of(), of("3", "2")])) == [of("1", "2", "3")]


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_a_text_without_a_position_owes_nothing(text: str) -> None:
    assert parse_positions(text) == []
    assert joined([]) == ""


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "12",
        TRUTH,
        f"{TRUTH}.",
        f"{TRUTH}.one",
        f"{TRUTH}.1.",
        f"{TRUTH}.1.x",
        f"{TRUTH}.1.-1",
        f"{TRUTH}.1.5-0",
        f"{TRUTH}.1.5--1",
        f"{TRUTH}.1.1-2-3",
        f"{TRUTH}.1.8000000000000000",
        f"{TRUTH}.1.2-7fffffffffffffff",
        f"{TRUTH}.1.~_w==",
        f"{TRUTH}.{'9' * 5000}",
        f"{of('1')},x",
        "\0",
        "\ud800",
    ],
)
def test_what_is_no_position_is_refused_and_named(text: str) -> None:
    with pytest.raises(InvalidPositionError) as refused:
        parse_positions(text, field="min_position")
    assert refused.value.field == "min_position"


@pytest.mark.parametrize(
    "text",
    [
        f"{TRUTH}.1.1-{MAX_NOTES + 1:x}",
        f"{TRUTH}.1.1-7ffffffffffffff0",
        f"{TRUTH}.1.1-{MAX_NOTES:x},{TRUTH}.1.1",
        "x" * (MAX_CHARACTERS + 1),
    ],
)
def test_a_position_that_names_too_much_is_refused_before_it_takes_memory(text: str) -> None:
    with pytest.raises(LimitExceededError) as refused:
        parse_positions(text, field="min_position")
    assert refused.value.field == "min_position"


def test_as_many_notes_as_are_allowed_are_read() -> None:
    [read] = parse_positions(f"{TRUTH}.1.1-{MAX_NOTES:x}")
    assert len(read.notes) == MAX_NOTES


@given(st.text(max_size=200) | st.from_regex(r"[\w-]{12}\.[0-9]+(\.[0-9a-f~-]{1,6}){0,5}"))
def test_whatever_is_made_up_is_read_or_refused(text: str) -> None:
    with suppress(InvalidInputError):
        assert all(len(one.notes) <= MAX_NOTES for one in parse_positions(text))
