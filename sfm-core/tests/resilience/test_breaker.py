"""When a failing backend is left alone, and how it comes back."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from sfm_core.errors import BackendUnavailableError, CorruptDataError, DeadlineExceededError
from sfm_core.resilience.breaker import Breaker, BreakerState
from sfm_core.resilience.guard import Guard
from sfm_core.resilience.policy import Policy
from sfm_core.resilience.retry import Repetition
from sfm_core.testing.clock import ManualClock

REST = timedelta(seconds=5)
POLICY = Policy(failures_to_open=3, open_for=REST)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker("acme", POLICY, clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed(breaker.admit(), "Connection refused.")


def test_it_stays_closed_below_the_limit(breaker: Breaker) -> None:
    fail(breaker, 2)

    assert breaker.state is BreakerState.CLOSED


def test_a_success_starts_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.succeeded(breaker.admit())
    fail(breaker, 2)

    assert breaker.state is BreakerState.CLOSED


def test_it_opens_at_the_limit_and_refuses_with_the_time_left(breaker: Breaker) -> None:
    fail(breaker, 3)

    assert breaker.state is BreakerState.OPEN
    with pytest.raises(BackendUnavailableError, match=r"failed 3 times in a row.* 5\.0 s"):
        breaker.admit()


def test_opening_is_logged_with_the_last_failure(
    breaker: Breaker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "sfm_core.resilience"):
        fail(breaker, 3)

    assert "acme failed 3 times in a row" in caplog.text
    assert "Connection refused." in caplog.text


async def test_an_outage_is_warned_of_once_however_often_it_is_tried(
    breaker: Breaker, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "sfm_core.resilience"):
        fail(breaker, 3)
        for _ in range(5):
            await clock.advance(REST)
            fail(breaker, 1)
        await clock.advance(REST)
        breaker.succeeded(breaker.admit())
        fail(breaker, 3)

    said = [record.getMessage().split(" and ")[0] for record in caplog.records]
    assert said == ["acme failed 3 times in a row", "acme answers again.", said[0]]


async def test_after_its_rest_one_call_is_the_probe(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, 3)
    await clock.advance(REST)

    breaker.admit()

    assert breaker.state is BreakerState.HALF_OPEN
    with pytest.raises(BackendUnavailableError, match="until one call has tried it"):
        breaker.admit()


async def test_a_probe_that_succeeds_closes_it(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, 3)
    await clock.advance(REST)

    breaker.succeeded(breaker.admit())

    assert breaker.state is BreakerState.CLOSED
    fail(breaker, 2)
    assert breaker.state is BreakerState.CLOSED


async def test_a_probe_that_fails_opens_it_for_another_rest(
    breaker: Breaker, clock: ManualClock
) -> None:
    fail(breaker, 3)
    await clock.advance(REST)

    fail(breaker, 1)

    assert breaker.state is BreakerState.OPEN
    await clock.advance(REST - timedelta(seconds=1))
    with pytest.raises(BackendUnavailableError, match=r"failed 4 times"):
        breaker.admit()


async def test_a_probe_whose_caller_gave_up_leaves_the_next_call_to_find_out(
    breaker: Breaker, clock: ManualClock
) -> None:
    fail(breaker, 3)
    await clock.advance(REST)

    breaker.abandoned(breaker.admit())

    breaker.succeeded(breaker.admit())
    assert breaker.state is BreakerState.CLOSED


async def test_what_a_call_from_before_the_opening_finds_out_counts_no_more(
    breaker: Breaker, clock: ManualClock
) -> None:
    before = breaker.admit()
    fail(breaker, 3)
    await clock.advance(REST)
    breaker.admit()

    breaker.succeeded(before)
    breaker.failed(before, "Connection refused.")
    breaker.abandoned(before)

    assert breaker.state is BreakerState.HALF_OPEN


class TestThroughCalls:
    async def test_an_open_breaker_keeps_calls_from_the_backend(self, clock: ManualClock) -> None:
        calls = 0

        async def refuse() -> None:
            nonlocal calls
            calls += 1
            raise BackendUnavailableError("Connection refused.", backend="acme")

        guard = Guard("acme", POLICY, clock)
        for _ in range(5):
            with pytest.raises(BackendUnavailableError):
                await guard.call(refuse, Repetition.NEVER)

        assert calls == 3

    async def test_repetition_ends_when_the_breaker_opens(self, clock: ManualClock) -> None:
        async def refuse() -> None:
            raise BackendUnavailableError("Connection refused.", backend="acme")

        policy = Policy(failures_to_open=1, attempts=100)

        with pytest.raises(BackendUnavailableError, match="Connection refused"):
            await Guard("acme", policy, clock).call(refuse, Repetition.ALWAYS)

        assert clock.sleepers == 0

    async def test_an_answer_that_is_an_error_shows_that_the_backend_works(
        self, clock: ManualClock
    ) -> None:
        async def corrupt() -> None:
            raise CorruptDataError("Garbage.", backend="acme")

        guard = Guard("acme", POLICY, clock)
        for _ in range(5):
            with pytest.raises(CorruptDataError):
                await guard.call(corrupt, Repetition.ALWAYS)

        assert guard.breaker.state is BreakerState.CLOSED

    async def test_calls_that_time_out_open_it(self, clock: ManualClock) -> None:
        policy = Policy(deadline=timedelta(microseconds=1), failures_to_open=3)
        guard = Guard("acme", policy, clock)
        for _ in range(3):
            with pytest.raises(DeadlineExceededError):
                await guard.call(asyncio.Event().wait, Repetition.ALWAYS)

        assert guard.breaker.state is BreakerState.OPEN

    async def test_a_backend_that_comes_back_is_used_again(self, clock: ManualClock) -> None:
        up = False

        async def call() -> str:
            if not up:
                raise BackendUnavailableError("Connection refused.", backend="acme")
            return "done"

        guard = Guard("acme", POLICY, clock)
        for _ in range(3):
            with pytest.raises(BackendUnavailableError):
                await guard.call(call, Repetition.NEVER)
        up = True
        await clock.advance(REST)

        assert await guard.call(call, Repetition.NEVER) == "done"

    async def test_a_health_probe_reaches_the_backend_while_it_is_left_alone(
        self, clock: ManualClock
    ) -> None:
        guard = Guard("acme", Policy(failures_to_open=1), clock)
        guard.breaker.failed(guard.breaker.admit(), "Connection refused.")

        async def call() -> str:
            return "up"

        assert await guard.probe(call) == "up"
        assert guard.breaker.state is BreakerState.OPEN
