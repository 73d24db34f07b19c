"""Leaves a backend that keeps failing alone for a while, instead of waiting for it each time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum

from sfm_core.clock import Clock
from sfm_core.errors import BackendUnavailableError
from sfm_core.resilience.policy import Policy

_logger = logging.getLogger(__name__)


class BreakerState(StrEnum):
    """What a breaker does with calls."""

    CLOSED = "closed"
    """Calls pass."""
    OPEN = "open"
    """Calls are refused at once."""
    HALF_OPEN = "half-open"
    """One call, the probe, is under way to find out; the others are refused."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission for one call, to be given back with its outcome.

    Attributes:
        epoch: The period of the breaker's state that it was given in. What a
            call of an earlier period found out says nothing about now.
    """

    epoch: int


class Breaker:
    """Counts failures in a row, and refuses calls for a time after too many.

    One breaker guards one backend. It holds no lock: all of its methods are
    synchronous, and belong to one event loop.
    """

    def __init__(self, scheme: str, policy: Policy, clock: Clock) -> None:
        """Start closed.

        Args:
            scheme: Scheme of the backend, for messages.
            policy: When to open, and for how long.
            clock: Source of time.
        """
        self._scheme = scheme
        self._policy = policy
        self._clock = clock
        self._state = BreakerState.CLOSED
        self._failures = 0
        self._opened_at = 0.0
        self._permit = Permit(0)

    @property
    def state(self) -> BreakerState:
        """What it does with calls; an open one stays so until a call arrives in due time."""
        return self._state

    def admit(self) -> Permit:
        """Ask to make a call.

        Returns:
            A permit, to be given to one of `succeeded`, `failed` and `abandoned`.

        Raises:
            BackendUnavailableError: The backend is being left alone; nothing
                was sent to it.
        """
        if self._state is BreakerState.CLOSED:
            return self._permit
        if self._state is BreakerState.HALF_OPEN or self._remaining() > 0:
            raise self._refusal()
        self._enter(BreakerState.HALF_OPEN)
        return self._permit

    def succeeded(self, permit: Permit) -> None:
        """Report that the backend answered, be it with an error of the caller's making."""
        if permit.epoch != self._permit.epoch:
            return
        self._failures = 0
        if self._state is BreakerState.HALF_OPEN:
            self._enter(BreakerState.CLOSED)
            _logger.info("%s answers again.", self._scheme)

    def failed(self, permit: Permit, reason: str) -> None:
        """Report that the backend was not reached or did not answer in time.

        Args:
            permit: What `admit` gave.
            reason: What went wrong, for the log.
        """
        if permit.epoch != self._permit.epoch:
            return
        self._failures += 1
        probed = self._state is BreakerState.HALF_OPEN
        if probed or self._failures >= self._policy.failures_to_open:
            self._opened_at = self._clock.monotonic()
            self._enter(BreakerState.OPEN)
            # One warning for each outage: a probe that fails says nothing new.
            _logger.log(
                logging.DEBUG if probed else logging.WARNING,
                "%s failed %d times in a row and is left alone for %g s. The last time: %s",
                self._scheme,
                self._failures,
                self._policy.open_for.total_seconds(),
                reason,
            )

    def abandoned(self, permit: Permit) -> None:
        """Report that nothing was found out, as when the caller gave up.

        A breaker whose probe is abandoned lets the next call be the probe.
        """
        if permit.epoch == self._permit.epoch and self._state is BreakerState.HALF_OPEN:
            self._enter(BreakerState.OPEN)

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        self._permit = Permit(self._permit.epoch + 1)

    def _remaining(self) -> float:
        elapsed = self._clock.monotonic() - self._opened_at
        return self._policy.open_for.total_seconds() - elapsed

    def _refusal(self) -> BackendUnavailableError:
        seconds = max(0.0, self._remaining())
        wait = f"for another {seconds:.1f} s" if seconds else "until one call has tried it"
        return BackendUnavailableError(
            f"{self._scheme} failed {self._failures} times in a row and is left alone {wait}.",
            backend=self._scheme,
            remedy="The log tells how it failed; it is tried again by itself.",
        )
