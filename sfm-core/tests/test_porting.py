from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest

from sfm_core.errors import ClosedError, InvalidInputError, LimitExceededError
from sfm_core.model.events import START, Position
from sfm_core.porting import (
    Port,
    ServedPort,
    SharedResource,
    check_batch,
    check_limit,
    from_microseconds,
    position_number,
    to_microseconds,
)
from sfm_core.protocols import MAX_BATCH
from sfm_core.testing.samples import MADE_UP_POSITIONS


class BrokenError(Exception):
    """What opening fails with."""


class Diary(SharedResource):
    """Writes down when it is opened and closed."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.entries: list[str] = []
        self._fails = fails

    async def _take(self, stack: AsyncExitStack) -> None:
        self.entries.append("open")
        stack.callback(self.entries.append, "close")
        if self._fails:
            raise BrokenError


class Reader(ServedPort[Diary]):
    """Reads the diary, and holds something of its own."""

    def __init__(self, diary: Diary, *, fails: bool = False) -> None:
        super().__init__(diary, scheme="diary", shared=True)
        self._fails = fails

    async def _take(self, stack: AsyncExitStack) -> None:
        await super()._take(stack)
        stack.callback(self._resource.entries.append, "own")
        if self._fails:
            raise BrokenError

    def read(self) -> list[str]:
        return list(self._opened.entries)


async def test_a_port_works_while_it_is_open_only() -> None:
    reader = Reader(Diary())
    with pytest.raises(ClosedError, match="Reader is not open"):
        reader.read()
    async with reader:
        assert reader.read() == ["open"]
    with pytest.raises(ClosedError):
        reader.read()


async def test_a_port_knows_what_it_is_before_it_is_opened() -> None:
    port = Port(scheme="x", shared=False)
    assert (port.scheme, port.shared) == ("x", False)


async def test_what_was_taken_last_is_released_first() -> None:
    diary = Diary()
    async with Reader(diary):
        pass
    assert diary.entries == ["open", "own", "close"]


async def test_what_was_taken_before_a_failure_is_released() -> None:
    diary = Diary()
    reader = Reader(diary, fails=True)
    with pytest.raises(BrokenError):
        await reader.__aenter__()
    assert diary.entries == ["open", "own", "close"]
    with pytest.raises(ClosedError):
        reader.read()


async def test_closing_what_is_not_open_does_nothing() -> None:
    diary = Diary()
    await Reader(diary).__aexit__(None, None, None)
    assert diary.entries == []


async def test_a_port_can_be_opened_again() -> None:
    reader = Reader(Diary())
    async with reader:
        pass
    async with reader:
        assert reader.read() == ["open", "own", "close", "open"]


async def test_a_shared_resource_is_open_from_the_first_port_to_the_last() -> None:
    diary = Diary()
    async with Reader(diary) as last:
        async with Reader(diary):
            pass
        assert last.read() == ["open", "own"]
    assert diary.entries == ["open", "own", "own", "close"]


async def test_a_resource_that_could_not_be_opened_is_tried_again() -> None:
    diary = Diary(fails=True)
    for _ in range(2):
        with pytest.raises(BrokenError):
            await diary.open()
    assert diary.entries == ["open", "close"] * 2


def test_a_bulk_call_has_its_limit() -> None:
    check_batch(MAX_BATCH, "keys")
    with pytest.raises(LimitExceededError) as caught:
        check_batch(MAX_BATCH + 1, "keys")
    assert caught.value.field == "keys"


@pytest.mark.parametrize("limit", [0, -1, MAX_BATCH + 1])
def test_a_limit_has_bounds(limit: int) -> None:
    check_limit(1)
    check_limit(MAX_BATCH)
    with pytest.raises(LimitExceededError) as caught:
        check_limit(limit)
    assert caught.value.field == "limit"


def test_a_position_is_the_number_that_it_was_made_of() -> None:
    assert position_number(START) == 0
    assert position_number(Position(str(2**63 - 1))) == 2**63 - 1


@pytest.mark.parametrize("made_up", MADE_UP_POSITIONS, ids=range(len(MADE_UP_POSITIONS)))
def test_what_only_looks_like_a_position_is_refused(made_up: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a position"):
        position_number(Position(made_up))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2500, 1, 1, 1, 1, 1, 123_457, tzinfo=UTC),
    ],
)
def test_a_time_comes_back_to_the_microsecond(moment: datetime) -> None:
    assert from_microseconds(to_microseconds(moment)) == moment
    assert to_microseconds(moment + timedelta(microseconds=1)) == to_microseconds(moment) + 1
