"""What the wrappers of all ports have in common."""

from __future__ import annotations

from typing import Final

from sfm_core.clock import Clock, SystemClock
from sfm_core.resilience.guard import Guard
from sfm_core.resilience.policy import Policy
from sfm_core.wrapping import BackendT, BackendWrapper

DEFAULT_POLICY: Final = Policy()


class ResilientBackend(BackendWrapper[BackendT]):
    """Stands for a backend and is as patient with it as its policy says.

    Opening and closing are passed on as they are: how long a connection may
    take is the backend's own setting, and half an opening must not be cut off.
    """

    def __init__(
        self, inner: BackendT, *, policy: Policy = DEFAULT_POLICY, clock: Clock | None = None
    ) -> None:
        """Wrap a backend that is not open yet.

        Args:
            inner: The backend; it is opened and closed with the wrapper.
            policy: How patient to be.
            clock: Source of time, for pauses and for the breaker.
        """
        super().__init__(inner)
        self.guard: Final = Guard(inner.scheme, policy, clock or SystemClock())

    async def ping(self) -> None:
        """Ask the backend itself, once, even while the breaker leaves it alone."""
        await self.guard.probe(self.inner.ping)
