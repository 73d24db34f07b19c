"""Faults on demand: a port of any kind that misbehaves at a chosen call, or at random ones.

Wrap the real thing and say when it is to misbehave::

    plan = FaultPlan()
    store = faulty(MyStore(), plan)
    plan.lose_reply("commit")            # the next commit happens, and its caller is not told
    gate = plan.hold("upsert", nth=2)    # the upsert after the next one waits at the gate
    plan.at_random(Fault.ERROR, seed=7)  # from now on, one call in five fails

Plans of several ports that are given one `Process` crash together.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, StrEnum, auto
from functools import partial
from random import Random
from types import TracebackType
from typing import Self, TypeVar, cast

from sfm_core.clock import Clock, SystemClock
from sfm_core.errors import BackendUnavailableError, SfmError
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.optional import SupportsScrubbing

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


class Fault(StrEnum):
    """What can go wrong at any call of any port.

    Attributes:
        ERROR: Nothing is done, and the caller is told that it failed.
        LOST_REPLY: It is done, and the caller is told that it failed.
        DELAY: It is done late.
        DUPLICATE: It is done twice, as when a network repeats it; the caller
            gets the first answer.
        CRASH: The process ends before the call or after it, and nothing that
            it does from then on arrives anywhere.
    """

    ERROR = "error"
    LOST_REPLY = "lost-reply"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    CRASH = "crash"


class Process:
    """What the ports of one process share: they end together.

    Attributes:
        crashed: Whether it has ended. Every call of every port then fails
            without reaching its backend.
    """

    def __init__(self) -> None:
        """Live."""
        self.crashed = False


class _Kind(Enum):
    BEFORE = auto()
    AFTER = auto()
    HOLD = auto()
    HOLD_REPLY = auto()
    CANCEL = auto()
    DELAY = auto()
    DUPLICATE = auto()
    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()


_KINDS = {
    Fault.ERROR: (_Kind.BEFORE,),
    Fault.LOST_REPLY: (_Kind.AFTER,),
    Fault.DELAY: (_Kind.DELAY,),
    Fault.DUPLICATE: (_Kind.DUPLICATE,),
    Fault.CRASH: (_Kind.CRASH_BEFORE, _Kind.CRASH_AFTER),
}
_A_WHILE = timedelta(milliseconds=5)


@dataclass(slots=True)
class _Fault:
    method: str
    kind: _Kind
    skip: int
    left: int | None
    make_error: MakeError
    delay: timedelta = _A_WHILE
    gate: Gate = field(default_factory=Gate)

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
        struck: How often each method was struck.
        process: Whose ports these are.
    """

    def __init__(self, *, process: Process | None = None, clock: Clock | None = None) -> None:
        """Let everything go well.

        Args:
            process: What crashes; a process of its own if not given.
            clock: Where delayed calls wait.
        """
        self.calls: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self.process = process or Process()
        self._clock = clock or SystemClock()
        self._faults: list[_Fault] = []
        self._chance: tuple[Fault, Random, float] | None = None

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

    def delay(
        self, method: str, *, by: timedelta = _A_WHILE, nth: int = 1, times: int | None = 1
    ) -> None:
        """Wait for some time before doing anything."""
        self._add(_Kind.DELAY, method, nth=nth, times=times, delay=by)

    def duplicate(self, method: str, *, nth: int = 1, times: int | None = 1) -> None:
        """Do the work twice, and give the first answer; the second, or its error, is nobody's."""
        self._add(_Kind.DUPLICATE, method, nth=nth, times=times)

    def crash(self, method: str, *, nth: int = 1, after: bool = False) -> None:
        """End the process at a call.

        Args:
            method: Name of the method.
            nth: Which call.
            after: Whether the call has its effect before that.
        """
        kind = _Kind.CRASH_AFTER if after else _Kind.CRASH_BEFORE
        self._add(kind, method, nth=nth, times=1)

    def at_random(self, fault: Fault, *, seed: int, rate: float = 0.2) -> None:
        """Strike calls of every method at random, until `clear`.

        Args:
            fault: How.
            seed: The same seed strikes the same calls of the same sequence.
            rate: Which part of all calls.
        """
        self._chance = (fault, Random(seed), rate)

    def clear(self) -> None:
        """Let everything go well from now on; who waits at a gate goes on, the dead stay dead."""
        self._chance = None
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
        self._only_alive()
        struck = [fault for fault in tuple(self._faults) if fault.strikes(method)]
        struck += self._by_chance(method)
        self.struck[method] += len(struck)
        for fault in struck:
            await self._before(fault)
        result = await call()
        for fault in struck:
            await self._after(fault, call)
        self._only_alive()
        return result

    def _by_chance(self, method: str) -> list[_Fault]:
        if self._chance is None:
            return []
        fault, random, rate = self._chance
        if random.random() >= rate:
            return []
        kind = random.choice(_KINDS[fault])
        return [_Fault(method, kind, 0, 1, partial(_unavailable, method))]

    def _only_alive(self) -> None:
        if self.process.crashed:
            raise BackendUnavailableError("The process has crashed.", backend="faulty")

    async def _before(self, fault: _Fault) -> None:
        match fault.kind:
            case _Kind.BEFORE:
                raise fault.make_error()
            case _Kind.HOLD:
                await fault.gate.enter()
            case _Kind.DELAY:
                await self._clock.sleep(fault.delay)
            case _Kind.CANCEL:
                await _cancel_this()
            case _Kind.CRASH_BEFORE:
                self.process.crashed = True
            case _:
                pass
        self._only_alive()

    async def _after(
        self, fault: _Fault, call: Callable[[], Coroutine[object, object, object]]
    ) -> None:
        match fault.kind:
            case _Kind.AFTER:
                raise fault.make_error()
            case _Kind.HOLD_REPLY:
                await fault.gate.enter()
            case _Kind.DUPLICATE:
                with suppress(SfmError):
                    await call()
            case _Kind.CRASH_AFTER:
                self.process.crashed = True
            case _:
                pass

    def _add(
        self,
        kind: _Kind,
        method: str,
        *,
        nth: int,
        times: int | None,
        error: MakeError | None = None,
        delay: timedelta = _A_WHILE,
    ) -> Gate:
        make = error or partial(_unavailable, method)
        fault = _Fault(method, kind, nth - 1, times, make, delay)
        self._faults.append(fault)
        return fault.gate


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
        if isinstance(port, SupportsScrubbing):
            # On the object: from Python 3.12 on, `isinstance` does not find it by `__getattr__`.
            self.scrub = self.__getattr__("scrub")

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


async def _cancel_this() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.cancel()
    await asyncio.sleep(0)


def _unavailable(method: str) -> BackendUnavailableError:
    return BackendUnavailableError(f"{method} was made to fail.", backend="faulty")
