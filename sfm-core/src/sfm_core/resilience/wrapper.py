"""What the wrappers of all ports have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from sfm_core.clock import Clock, SystemClock
from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.optional import SupportsMaintenance, SupportsScrubbing, SupportsWaking
from sfm_core.resilience.guard import Guard
from sfm_core.resilience.policy import Policy

BackendT = TypeVar("BackendT", bound=Backend)

DEFAULT_POLICY: Final = Policy()


class ResilientBackend(Generic[BackendT]):
    """Stands for a backend and is as patient with it as its policy says.

    Opening and closing are passed on as they are: how long a connection may
    take is the backend's own setting, and half an opening must not be cut off.
    What the backend supports beyond its port, the wrapper supports too.

    Attributes:
        inner: The backend.
        maintain: There only if the backend has it. Passed on as it is, because
            upkeep takes the time it takes and is tried again anyway.
        scrub: There only if the backend has it. Passed on as it is, because it may have
            to rewrite everything.
        wait_for_work: There only if the backend has it. Passed on as it is,
            because it takes as long as there is no work.
    """

    maintain: Callable[[], Awaitable[None]]
    scrub: Callable[[str, Sequence[Coordinate]], Awaitable[str]]
    wait_for_work: Callable[[], Awaitable[None]]

    def __init__(
        self, inner: BackendT, *, policy: Policy = DEFAULT_POLICY, clock: Clock | None = None
    ) -> None:
        """Wrap a backend that is not open yet.

        Args:
            inner: The backend; it is opened and closed with the wrapper.
            policy: How patient to be.
            clock: Source of time, for pauses and for the breaker.
        """
        self.inner: Final = inner
        self.guard: Final = Guard(inner.scheme, policy, clock or SystemClock())
        # Set on the object, because `isinstance` against an optional protocol looks for it there.
        offered: object = inner
        if isinstance(offered, SupportsMaintenance):
            self.maintain = offered.maintain
        if isinstance(offered, SupportsScrubbing):
            self.scrub = offered.scrub
        if isinstance(offered, SupportsWaking):
            self.wait_for_work = offered.wait_for_work

    @property
    def scheme(self) -> str:
        """URL scheme of the backend."""
        return self.inner.scheme

    @property
    def shared(self) -> bool:
        """Whether other processes see the same data."""
        return self.inner.shared

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.inner.__aexit__(exc_type, exc, traceback)

    async def ping(self) -> None:
        """Ask the backend itself, once, even while the breaker leaves it alone."""
        await self.guard.probe(self.inner.ping)
