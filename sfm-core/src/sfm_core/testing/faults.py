"""Faults on demand: a port that fails, loses its reply, stalls or is cancelled at a chosen call.

Wrap the real thing and say when it is to misbehave::

    plan = FaultPlan()
    store = faulty(MyStore(), plan)
    plan.lose_reply("commit")            # the next commit happens, and its caller is not told
    gate = plan.hold("upsert", nth=2)    # the upsert after the next one waits at the gate
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from types import TracebackType
from typing import Self, TypeVar, cast

from sfm_core.errors import BackendUnavailableError
from sfm_core.protocols.lifecycle import Backend

PortT = TypeVar("PortT", bound=Backend)

MakeError = Callable[[], BaseException]
_Call = Callable[..., Coroutine[object, object, object]]


class Gate:
    """Where a call waits until the test lets it go on."""

    def __init__(self) -> None:
        """Stand closed, with nobody waiting."""
        self._reached = asyncio.Event()
        self._opened = asyncio.Event()

    async def reached(self) -> None:
        """Wait until a call stands at the gate."""
        await self._reached.wait()

    def open(self) -> None:
        """Let through who waits, and everybody after."""
        self._opened.set()

    async def enter(self) -> None:
        """Stand at the gate until it is open."""
        self._reached.set()
        await self._opened.wait()


class _Kind(Enum):
    BEFORE = auto()
    AFTER = auto()
    HOLD = auto()
    HOLD_REPLY = auto()
    CANCEL = auto()


@dataclass(slots=True)
class _Fault:
    method: str
    kind: _Kind
    skip: int
    left: int | None
    make_error: MakeError
    gate: Gate

    def strikes(self, method: str) -> bool:
        if method != self.method or self.left == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.left is not None:
            self.left -= 1
        return True


class FaultPlan:
    """Says which calls go wrong, and counts all of them.

    Every fault names a method of the port, the call that it strikes first
    (`nth`, counted from now, the next one being 1) and how many calls in a row
    (`times`; `None` for all from there on, until `clear`).

    Attributes:
        calls: How often each method was called.
    """

    def __init__(self) -> None:
        """Let everything go well."""
        self.calls: Counter[str] = Counter()
        self._faults: list[_Fault] = []

    def fail(
        self,
        method: str,
        *,
        nth: int = 1,
        times: int | None = 1,
        error: MakeError | None = None,
    ) -> None:
        """Raise instead of doing anything; `BackendUnavailableError` by default."""
        self._add(_Kind.BEFORE, method, nth=nth, times=times, error=error)

    def lose_reply(
        self,
        method: str,
        *,
        nth: int = 1,
        times: int | None = 1,
        error: MakeError | None = None,
    ) -> None:
        """Do the work, then raise; `BackendUnavailableError` by default."""
        self._add(_Kind.AFTER, method, nth=nth, times=times, error=error)

    def hold(self, method: str, *, nth: int = 1, times: int | None = 1) -> Gate:
        """Wait at a gate before doing anything.

        Returns:
            The gate; until it is opened, the calls wait there.
        """
        return self._add(_Kind.HOLD, method, nth=nth, times=times)

    def hold_reply(self, method: str, *, nth: int = 1, times: int | None = 1) -> Gate:
        """Do the work, then wait at a gate before answering.

        Returns:
            The gate; until it is opened, the calls wait there.
        """
        return self._add(_Kind.HOLD_REPLY, method, nth=nth, times=times)

    def cancel(self, method: str, *, nth: int = 1, times: int | None = 1) -> None:
        """Cancel the task that makes the call, before anything is done."""
        self._add(_Kind.CANCEL, method, nth=nth, times=times)

    def clear(self) -> None:
        """Let everything go well from now on; who waits at a gate goes on."""
        for fault in self._faults:
            fault.gate.open()
        self._faults.clear()

    async def run(
        self, method: str, call: Callable[[], Coroutine[object, object, object]]
    ) -> object:
        """Make one call as planned.

        Args:
            method: Name of the method.
            call: Does the work.

        Returns:
            What the call returned.

        Raises:
            BaseException: What the plan says, or what the call raised.
        """
        self.calls[method] += 1
        struck = [fault for fault in tuple(self._faults) if fault.strikes(method)]
        for fault in struck:
            await _before(fault)
        result = await call()
        for fault in struck:
            await _after(fault)
        return result

    def _add(
        self,
        kind: _Kind,
        method: str,
        *,
        nth: int,
        times: int | None,
        error: MakeError | None = None,
    ) -> Gate:
        gate = Gate()
        make = error or partial(_unavailable, method)
        self._faults.append(_Fault(method, kind, nth - 1, times, make, gate))
        return gate


def faulty(port: PortT, plan: FaultPlan) -> PortT:
    """Wrap a backend so that its calls go as planned.

    Args:
        port: Any backend.
        plan: Which of its calls go wrong. It may be changed at any time.

    Returns:
        The same port. Opening and closing, and what is no coroutine method,
        go straight through.
    """
    return cast(PortT, _Faulty(port, plan))


class _Faulty:
    def __init__(self, port: Backend, plan: FaultPlan) -> None:
        self._port = port
        self._plan = plan

    async def __aenter__(self) -> Self:
        await self._port.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._port.__aexit__(exc_type, exc, traceback)

    def __getattr__(self, name: str) -> object:
        value: object = getattr(self._port, name)
        if not inspect.iscoroutinefunction(value):
            return value
        method = cast(_Call, value)

        async def call(*args: object, **options: object) -> object:
            return await self._plan.run(name, partial(method, *args, **options))

        return call


async def _before(fault: _Fault) -> None:
    if fault.kind is _Kind.BEFORE:
        raise fault.make_error()
    if fault.kind is _Kind.HOLD:
        await fault.gate.enter()
    if fault.kind is _Kind.CANCEL:
        task = asyncio.current_task()
        if task is not None:
            task.cancel()
        await asyncio.sleep(0)


async def _after(fault: _Fault) -> None:
    if fault.kind is _Kind.AFTER:
        raise fault.make_error()
    if fault.kind is _Kind.HOLD_REPLY:
        await fault.gate.enter()


def _unavailable(method: str) -> BackendUnavailableError:
    return BackendUnavailableError(f"{method} was made to fail.", backend="faulty")
