"""Deadlines, repetitions and cancellation of one guarded call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from sfm_core.errors import (
    BackendUnavailableError,
    ConfigurationError,
    CorruptDataError,
    DeadlineExceededError,
    InvalidInputError,
    SfmError,
    StorageFullError,
)
from sfm_core.resilience.breaker import BreakerState
from sfm_core.resilience.guard import Guard
from sfm_core.resilience.policy import Policy
from sfm_core.resilience.retry import Repetition
from sfm_core.testing.clock import ManualClock

LONG = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)


class RecordingClock(ManualClock):
    """Lets every pause end at once and remembers how long it would have been."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[timedelta] = []

    async def sleep(self, delay: timedelta) -> None:
        self.pauses.append(delay)
        await asyncio.sleep(0)


class Script:
    """An operation that fails as it is told, and then succeeds."""

    def __init__(self, failures: Sequence[BaseException] = ()) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        return "done"


@pytest.fixture
def clock() -> RecordingClock:
    return RecordingClock()


def guard(clock: ManualClock, policy: Policy | None = None) -> Guard:
    return Guard("acme", policy or Policy(deadline=LONG), clock)


def unavailable() -> BackendUnavailableError:
    return BackendUnavailableError("Connection refused.", backend="acme")


def late() -> DeadlineExceededError:
    return DeadlineExceededError("The driver gave up.", backend="acme")


class TestRepetition:
    async def test_a_call_that_succeeds_is_made_once(self, clock: RecordingClock) -> None:
        script = Script()

        assert await guard(clock).call(script, Repetition.ALWAYS) == "done"

        assert script.calls == 1
        assert clock.pauses == []

    async def test_a_call_that_fails_twice_succeeds_at_the_third_attempt(
        self, clock: RecordingClock
    ) -> None:
        script = Script([unavailable(), unavailable()])

        assert await guard(clock).call(script, Repetition.ALWAYS) == "done"

        assert script.calls == 3

    async def test_no_more_attempts_are_made_than_the_policy_allows(
        self, clock: RecordingClock
    ) -> None:
        last = unavailable()
        script = Script([unavailable(), unavailable(), last, unavailable()])

        with pytest.raises(BackendUnavailableError) as caught:
            await guard(clock).call(script, Repetition.ALWAYS)

        assert caught.value is last
        assert script.calls == 3

    async def test_a_policy_of_one_attempt_never_repeats(self, clock: RecordingClock) -> None:
        script = Script([unavailable()])

        with pytest.raises(BackendUnavailableError):
            await guard(clock, Policy(attempts=1)).call(script, Repetition.ALWAYS)

        assert script.calls == 1

    async def test_pauses_stay_below_a_bound_that_doubles_up_to_a_limit(
        self, clock: RecordingClock
    ) -> None:
        policy = Policy(
            deadline=LONG,
            attempts=6,
            backoff=timedelta(seconds=1),
            backoff_limit=timedelta(seconds=5),
            failures_to_open=100,
        )

        await guard(clock, policy).call(
            Script([unavailable() for _ in range(5)]), Repetition.ALWAYS
        )

        assert len(clock.pauses) == 5
        for pause, bound in zip(clock.pauses, [1, 2, 4, 5, 5], strict=True):
            assert timedelta(0) <= pause <= timedelta(seconds=bound)

    async def test_pauses_differ_between_callers_who_failed_together(
        self, clock: RecordingClock
    ) -> None:
        policy = Policy(deadline=LONG, backoff=timedelta(seconds=1), failures_to_open=100)
        guarded = guard(clock, policy)

        await asyncio.gather(
            *(guarded.call(Script([unavailable()]), Repetition.ALWAYS) for _ in range(20))
        )

        assert len(set(clock.pauses)) > 1

    @pytest.mark.parametrize(
        "error",
        [
            CorruptDataError("Garbage.", backend="acme"),
            InvalidInputError("Bad.", field="keys"),
            ValueError("a bug"),
        ],
    )
    async def test_an_error_that_would_come_again_is_not_repeated(
        self, clock: RecordingClock, error: Exception
    ) -> None:
        script = Script([error])

        with pytest.raises(type(error)) as caught:
            await guard(clock).call(script, Repetition.ALWAYS)

        assert caught.value is error
        assert script.calls == 1

    async def test_an_error_that_ends_the_hope_ends_the_repetition(
        self, clock: RecordingClock
    ) -> None:
        script = Script([unavailable(), CorruptDataError("Garbage.", backend="acme")])

        with pytest.raises(CorruptDataError):
            await guard(clock).call(script, Repetition.ALWAYS)

        assert script.calls == 2

    @pytest.mark.parametrize(
        ("repetition", "error", "repeated"),
        [
            (Repetition.NEVER, unavailable(), False),
            (Repetition.NEVER, late(), False),
            (Repetition.UNLESS_LATE, unavailable(), True),
            (Repetition.UNLESS_LATE, StorageFullError("Full.", backend="acme"), True),
            (Repetition.UNLESS_LATE, late(), False),
            (Repetition.ALWAYS, unavailable(), True),
            (Repetition.ALWAYS, late(), True),
        ],
    )
    def test_what_may_be_repeated_depends_on_the_call_and_on_the_failure(
        self, repetition: Repetition, error: SfmError, *, repeated: bool
    ) -> None:
        assert repetition.allows(error) is repeated


class TestDeadline:
    async def test_a_backend_that_hangs_is_cut_off(self, clock: RecordingClock) -> None:
        cut = asyncio.Event()

        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cut.set()

        with pytest.raises(DeadlineExceededError, match="acme did not answer within 1e-06 s"):
            await guard(clock, Policy(deadline=INSTANT)).call(hang, Repetition.ALWAYS)

        assert cut.is_set()

    async def test_a_call_that_makes_a_collection_has_more_time(
        self, clock: RecordingClock
    ) -> None:
        async def hang() -> None:
            await asyncio.Event().wait()

        policy = Policy(deadline=LONG, setup_deadline=INSTANT)
        with pytest.raises(DeadlineExceededError):
            await guard(clock, policy).call(hang, Repetition.ALWAYS, sets_up=True)
        assert Policy().setup_deadline > Policy().deadline

    async def test_it_spans_the_pauses_and_names_the_failure_before_them(self) -> None:
        failure = unavailable()
        standing = ManualClock()
        policy = Policy(deadline=timedelta(milliseconds=5), backoff=LONG, backoff_limit=LONG)

        with pytest.raises(DeadlineExceededError, match="Connection refused") as caught:
            await guard(standing, policy).call(Script([failure]), Repetition.ALWAYS)

        assert caught.value.__cause__ is failure

    async def test_a_time_out_inside_the_backend_is_not_taken_for_ours(
        self, clock: RecordingClock
    ) -> None:
        with pytest.raises(TimeoutError, match="inside") as caught:
            await guard(clock).call(Script([TimeoutError("inside")]), Repetition.ALWAYS)

        assert not isinstance(caught.value, SfmError)


class TestCancellation:
    async def test_a_cancelled_call_is_cancelled_and_nothing_else(
        self, clock: RecordingClock
    ) -> None:
        started = asyncio.Event()

        async def hang() -> None:
            started.set()
            await asyncio.Event().wait()

        policy = Policy(deadline=LONG, failures_to_open=1)
        guarded = guard(clock, policy)
        task = asyncio.create_task(guarded.call(hang, Repetition.ALWAYS))
        await started.wait()

        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        assert guarded.breaker.state is BreakerState.CLOSED

    async def test_a_call_cancelled_in_a_pause_makes_no_further_attempt(self) -> None:
        clock = ManualClock()
        script = Script([unavailable()])
        policy = Policy(deadline=LONG, backoff=LONG, backoff_limit=LONG)
        task = asyncio.create_task(guard(clock, policy).call(script, Repetition.ALWAYS))
        await clock.advance(timedelta(0))

        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        assert script.calls == 1


@pytest.mark.parametrize(
    "name",
    [
        "deadline",
        "setup_deadline",
        "backoff",
        "backoff_limit",
        "open_for",
        "attempts",
        "failures_to_open",
    ],
)
def test_a_policy_names_the_value_that_is_not_above_zero(name: str) -> None:
    zero: object = 0 if name in {"attempts", "failures_to_open"} else timedelta(0)

    with pytest.raises(ConfigurationError, match=name) as caught:
        Policy(**{name: zero})  # type: ignore[arg-type]

    assert caught.value.setting == name
