"""Telling an observer of every call of a port and of every operation of an engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Self, TypeVar, cast

from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.observer import UNOBSERVED, Figure, Observer
from sfm_core.registry import PortName

PortT = TypeVar("PortT", bound=Backend)

_Call = Callable[..., Coroutine[object, object, object]]
_Enclose = Callable[[], AbstractContextManager[object]]

# Their time says nothing: probes, and waiting until there is work.
_UNTOLD = frozenset({"ping", "wait_for_work"})


def observed(backend: PortT, port: PortName, observer: Observer) -> PortT:
    """Have an observer told of a backend's calls.

    Args:
        backend: A backend that is not open yet.
        port: The port that it serves.
        observer: Who is told; where it is nobody, the backend is returned as it is.

    Returns:
        The same port, with everything that the backend supports beyond it.
    """
    if observer is UNOBSERVED:
        return backend
    return cast(PortT, _Observed(backend, port, observer))


def observe_operations(engine: object, observer: Observer) -> None:
    """Have an observer told of an engine's operations.

    Args:
        engine: The engine; its public coroutine methods are replaced on the object.
        observer: Who is told.
    """
    if observer is UNOBSERVED:
        return
    for name in _coroutine_methods(engine):
        # On the object, so that the class stays what it is for everybody else.
        setattr(engine, name, _enclosed(getattr(engine, name), partial(observer.operation, name)))


class _Observed:
    """Stands for a backend."""

    def __init__(self, backend: Backend, port: PortName, observer: Observer) -> None:
        self._backend = backend
        self._port = port
        self._observer = observer
        # Set on the object, because `isinstance` against an optional protocol looks for it there.
        for name in _coroutine_methods(backend):
            setattr(self, name, self._watched(name, getattr(backend, name)))

    async def __aenter__(self) -> Self:
        await self._backend.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._backend.__aexit__(exc_type, exc, traceback)

    def __getattr__(self, name: str) -> object:
        value: object = getattr(self._backend, name)
        return (
            self._watched(name, cast(_Call, value)) if inspect.iscoroutinefunction(value) else value
        )

    def _watched(self, name: str, method: _Call) -> _Call:
        if name in _UNTOLD:
            return method
        observer, port, scheme = self._observer, self._port.value, self._backend.scheme
        if self._port is PortName.CACHE and name == "get_many":
            method = _counted(method, observer)
        return _enclosed(method, partial(observer.call, port, scheme, name))


def _coroutine_methods(thing: object) -> Iterator[str]:
    for name in dir(thing):
        # Looked at without asking for the value, which a property may not have yet.
        if not name.startswith("_") and inspect.iscoroutinefunction(
            inspect.getattr_static(thing, name)
        ):
            yield name


def _enclosed(method: _Call, enclose: _Enclose) -> _Call:
    async def call(*args: object, **options: object) -> object:
        with enclose():
            return await method(*args, **options)

    return call


def _counted(method: _Call, observer: Observer) -> _Call:
    async def call(*args: object, **options: object) -> object:
        found = cast("list[object]", await method(*args, **options))
        missing = found.count(None)
        observer.count(Figure.CACHE_MISSES, missing)
        observer.count(Figure.CACHE_HITS, len(found) - missing)
        return found

    return call
