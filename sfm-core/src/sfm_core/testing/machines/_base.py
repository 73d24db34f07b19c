"""What the machines have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import ClassVar, Generic, TypeAlias, TypeVar, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from sfm_core.protocols.lifecycle import Backend
from sfm_core.testing.clock import ManualClock

BackendT = TypeVar("BackendT", bound=Backend)
AnswerT = TypeVar("AnswerT")

Fresh: TypeAlias = Callable[[ManualClock], Callable[[], BackendT]]

DEFAULT_SETTINGS = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    phases=[phase for phase in Phase if phase is not Phase.explain],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class BackendMachine(RuleBasedStateMachine, Generic[BackendT]):
    """Keeps a backend and its model open, in an event loop of their own.

    Attributes:
        fresh: Begins new data for the backend under test.
        fresh_model: Begins new data for the model.
    """

    fresh: ClassVar[Callable[[ManualClock], Callable[[], Backend]]]
    fresh_model: ClassVar[Callable[[ManualClock], Callable[[], Backend]]]

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self._runner = asyncio.Runner()
        self._make = type(self).fresh(self.clock)
        self._make_model = type(self).fresh_model(self.clock)
        self.store, self.model = self._open()

    def teardown(self) -> None:
        """Close both, and the loop."""
        try:
            self._close()
        finally:
            self._runner.close()

    @rule()
    def reopen(self) -> None:
        """Close both and open them again."""
        self._close()
        self.store, self.model = self._open()

    def run(self, work: Coroutine[None, None, AnswerT]) -> AnswerT:
        """Wait for a call."""
        return self._runner.run(work)

    def both(self, call: Callable[[BackendT], Coroutine[None, None, AnswerT]]) -> AnswerT:
        """Make the same call on both, compare the answers, and return the one."""
        expected = self.run(call(self.model))
        actual = self.run(call(self.store))
        assert actual == expected
        return actual

    def _open(self) -> tuple[BackendT, BackendT]:
        return self._entered(self._make()), self._entered(self._make_model())

    def _entered(self, backend: Backend) -> BackendT:
        async def enter() -> Backend:
            return await backend.__aenter__()

        return cast(BackendT, self.run(enter()))

    def _close(self) -> None:
        async def leave() -> None:
            for backend in (self.store, self.model):
                await backend.__aexit__(None, None, None)

        self.run(leave())


def run_machine(
    machine: type[BackendMachine[BackendT]],
    fresh: Fresh[BackendT],
    fresh_model: Fresh[BackendT],
    how: settings,
) -> None:
    """Run a machine on a backend.

    Args:
        machine: What to do with it.
        fresh: Begins new data for the backend.
        fresh_model: Begins new data for the model.
        how: How many examples, and how long.

    Raises:
        AssertionError: The backend answered otherwise than the model.
    """
    bound = type(
        machine.__name__,
        (machine,),
        {"fresh": staticmethod(fresh), "fresh_model": staticmethod(fresh_model)},
    )
    run_state_machine_as_test(bound, settings=how)
