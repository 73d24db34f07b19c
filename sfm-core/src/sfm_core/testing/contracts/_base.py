"""What every port promises."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import ClassVar, Final, Generic, TypeAlias, TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from sfm_core.errors import ClosedError, SfmError
from sfm_core.protocols.lifecycle import Backend
from sfm_core.testing.clock import ManualClock, MovableClock

BackendT = TypeVar("BackendT", bound=Backend)
ItemT = TypeVar("ItemT")

Operation: TypeAlias = Callable[[], Awaitable[object]]

BOUNDED = settings(
    max_examples=40,
    deadline=None,
    # Each example works in a namespace of its own, so a fixture may serve many; and the
    # same inherited test is run for many backends.
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)


_PATIENCE_SECONDS: Final = 30
"""How long what ends at once may take on a busy machine."""


class BackendContract(Generic[BackendT]):
    """Tests that hold for every port; the contract of each port builds on it.

    Attributes:
        shared: What the backend's own `shared` has to say.
    """

    pytestmark = pytest.mark.asyncio
    shared: ClassVar[bool] = True

    @pytest.fixture
    def make(self) -> Callable[[], BackendT]:
        """Return what makes a backend that is not open yet; the subclass gives it.

        Each call makes another backend on the same data. Data are empty at the
        start of each test.

        Raises:
            NotImplementedError: The subclass does not say how.
        """
        raise NotImplementedError("Override the fixture `make` in your subclass.")

    @pytest.fixture
    def clock(self) -> MovableClock:
        """Return the clock that `make` hands to the backend.

        Override it with a `WaitingClock` where the backend's server keeps the time.
        """
        return ManualClock()

    @pytest.fixture
    def namespace(self) -> str:
        """Return a namespace that no other test uses."""
        return fresh_namespace()

    @abstractmethod
    def operations(self, backend: BackendT) -> Sequence[Operation]:
        """Return one small call of every method."""

    async def test_nothing_works_before_it_is_opened(self, make: Callable[[], BackendT]) -> None:
        """Using a backend too early is a clear error, not a crash inside a driver."""
        for operation in self.operations(make()):
            with pytest.raises(ClosedError):
                await operation()

    async def test_nothing_works_after_it_was_closed(self, make: Callable[[], BackendT]) -> None:
        """Using a backend too late is a clear error, not a hang on a dead connection."""
        async with make() as backend:
            await backend.ping()
        for operation in self.operations(backend):
            with pytest.raises(ClosedError):
                await operation()

    async def test_ping_works_while_it_is_open(self, make: Callable[[], BackendT]) -> None:
        """A healthy backend says so."""
        async with make() as backend:
            await backend.ping()

    async def test_it_is_closed_when_the_body_raises(self, make: Callable[[], BackendT]) -> None:
        """An error inside `async with` passes through and leaves nothing open."""
        backend = make()
        with pytest.raises(ZeroDivisionError):
            async with backend:
                raise ZeroDivisionError
        with pytest.raises(ClosedError):
            await backend.ping()

    async def test_it_leaves_no_task_behind_when_it_is_closed(
        self, make: Callable[[], BackendT]
    ) -> None:
        """What it started while it was open has ended, or was cancelled."""
        before = asyncio.all_tasks()
        async with make() as backend:
            await backend.ping()
        # Those of a proxy, or of a server in this process, end when they see it gone.
        if left := asyncio.all_tasks() - before:
            _, running = await asyncio.wait(left, timeout=5)
            assert not running

    async def test_a_cancelled_call_leaves_it_usable(self, make: Callable[[], BackendT]) -> None:
        """Wherever the call was, it holds nothing that the next one waits for."""
        async with make() as backend:
            operations = self.operations(backend)
            for number, operation in enumerate(operations):
                await _all_end(operations[:number])
                for turns in range(1, 4):
                    await _cancelled_after(turns, operation)
            await _all_end(operations)
            await backend.ping()

    async def test_it_says_who_it_is_and_who_sees_its_data(
        self, make: Callable[[], BackendT]
    ) -> None:
        """Scheme and `shared` are known before it is opened."""
        backend = make()
        assert backend.scheme
        assert backend.shared is self.shared


async def _all_end(operations: Sequence[Operation]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        for operation in operations:
            with suppress(SfmError):
                await operation()


async def _cancelled_after(turns: int, operation: Operation) -> None:
    task = asyncio.ensure_future(operation())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=_PATIENCE_SECONDS)
    assert task.done()
    if not task.cancelled():
        task.exception()


async def read_pages(
    page_after: Callable[[ItemT | None], Awaitable[Sequence[ItemT]]],
) -> list[ItemT]:
    """Read page after page until one is empty.

    A backend whose pages do not move on fails here, where it would be read for ever.

    Args:
        page_after: Returns the page after an element; after `None`, the first one.

    Returns:
        The elements of all pages.
    """
    found: list[ItemT] = []
    while page := await page_after(found[-1] if found else None):
        assert page[-1] not in found, f"The page after {found[-1]} goes back to {page[-1]}."
        found += page
    return found


def fresh_namespace() -> str:
    """Return a namespace that nobody used before."""
    return f"kit-{uuid4().hex}"
