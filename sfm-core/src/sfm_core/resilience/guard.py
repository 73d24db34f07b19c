"""Deadline, repetition and breaker around one call, in the order that makes sense of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sfm_core.clock import Clock
from sfm_core.errors import BackendError, BackendUnavailableError, SfmError
from sfm_core.resilience.breaker import Breaker, BreakerState
from sfm_core.resilience.deadline import Deadline
from sfm_core.resilience.policy import Policy
from sfm_core.resilience.retry import Repetition, repeat

ResultT = TypeVar("ResultT")


class Guard:
    """Makes the calls of one backend.

    The deadline spans all attempts, so that a caller never waits longer than
    it says; the breaker looks at each attempt by itself.
    """

    def __init__(self, scheme: str, policy: Policy, clock: Clock) -> None:
        """Guard one backend.

        Args:
            scheme: Scheme of the backend, for messages.
            policy: How patient to be.
            clock: Source of time, for pauses and for the breaker.
        """
        self._scheme = scheme
        self._policy = policy
        self._clock = clock
        self.breaker = Breaker(scheme, policy, clock)

    async def call(
        self,
        operation: Callable[[], Awaitable[ResultT]],
        repetition: Repetition,
        *,
        sets_up: bool = False,
    ) -> ResultT:
        """Make a call.

        Args:
            operation: The call.
            repetition: Whether it may be repeated.
            sets_up: Whether it makes a collection, for which there is more time.

        Returns:
            What the call returns.

        Raises:
            DeadlineExceededError: The backend did not answer in time.
            BackendUnavailableError: It was not reached, or is being left alone.
            BackendError: The call failed in another way, and so did its repetitions.
        """
        limit = self._policy.setup_deadline if sets_up else self._policy.deadline
        async with Deadline(self._scheme, limit) as deadline:
            try:
                return await self._attempt(operation, deadline)
            except BackendError as error:
                if not self._hopeful(error, repetition, deadline):
                    raise
                return await repeat(
                    lambda: self._attempt(operation, deadline),
                    error,
                    policy=self._policy,
                    clock=self._clock,
                    hopeful=lambda failure: self._hopeful(failure, repetition, deadline),
                )

    async def probe(self, operation: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Make a call that is to show how the backend is, whatever the breaker thinks.

        Args:
            operation: The call.

        Returns:
            What the call returns.

        Raises:
            DeadlineExceededError: The backend did not answer in time.
        """
        async with Deadline(self._scheme, self._policy.deadline):
            return await operation()

    async def _attempt(
        self, operation: Callable[[], Awaitable[ResultT]], deadline: Deadline
    ) -> ResultT:
        permit = self.breaker.admit()
        try:
            result = await operation()
        except BackendUnavailableError as error:
            self.breaker.failed(permit, error.message)
            raise
        except SfmError:
            self.breaker.succeeded(permit)
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and deadline.expired:
                self.breaker.failed(permit, "it did not answer in time")
            else:
                self.breaker.abandoned(permit)
            raise
        self.breaker.succeeded(permit)
        return result

    def _hopeful(self, error: BaseException, repetition: Repetition, deadline: Deadline) -> bool:
        if isinstance(error, BackendError):
            deadline.last_failure = error
        return repetition.allows(error) and self.breaker.state is not BreakerState.OPEN
