"""Asks again, where asking twice cannot do harm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from sfm_core.clock import Clock
from sfm_core.errors import BackendError, DeadlineExceededError
from sfm_core.resilience.policy import Policy

ResultT = TypeVar("ResultT")


class Repetition(StrEnum):
    """Whether a failed call of a port may be repeated behind the caller's back."""

    NEVER = "never"
    """It may have had an effect that a second call would have again."""
    UNLESS_LATE = "unless-late"
    """A write that may be repeated after a failure, but not after a time-out.

    What timed out may still be under way. If a repetition succeeded, the caller
    would take the work for done, and the first call could then land after
    somebody's newer write and undo it. As an error it stays in the outbox.
    """
    ALWAYS = "always"
    """It changes nothing."""

    def allows(self, error: BaseException) -> bool:
        """Tell whether a call that failed so may be repeated."""
        if self is Repetition.NEVER or not isinstance(error, BackendError):
            return False
        late = isinstance(error, DeadlineExceededError)
        return error.retryable and (self is Repetition.ALWAYS or not late)


async def repeat(
    call: Callable[[], Awaitable[ResultT]],
    failure: BackendError,
    *,
    policy: Policy,
    clock: Clock,
    hopeful: Callable[[BaseException], bool],
) -> ResultT:
    """Repeat a call that has just failed, with growing pauses.

    Args:
        call: What to repeat.
        failure: How its first attempt failed.
        policy: How often, and how long the pauses may be.
        clock: What to wait on.
        hopeful: Tells of a failure whether one more attempt is allowed.

    Returns:
        What the first attempt to succeed returned.

    Raises:
        BackendError: The last attempt failed, in this way.
    """
    failures = [failure]

    async def attempt() -> ResultT:
        # The first attempt was made without tenacity, which costs more than a call in
        # memory does; it is handed in here so that tenacity counts it and waits after it.
        if failures:
            raise failures.pop()
        return await call()

    async def pause(seconds: float) -> None:
        await clock.sleep(timedelta(seconds=seconds))

    retrying = AsyncRetrying(
        stop=stop_after_attempt(policy.attempts),
        wait=wait_random_exponential(
            multiplier=policy.backoff.total_seconds(), max=policy.backoff_limit.total_seconds()
        ),
        retry=retry_if_exception(hopeful),
        sleep=pause,
        reraise=True,
    )
    return await retrying(attempt)
