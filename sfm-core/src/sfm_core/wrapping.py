"""What is put around backends: patience with them, encryption, whatever a program likes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.optional import SupportsMaintenance, SupportsScrubbing, SupportsWaking
from sfm_core.protocols.vector import VectorStore

BackendT = TypeVar("BackendT", bound=Backend)


def _as_it_is_kv(store: KeyValueStore) -> KeyValueStore:
    return store


def _as_it_is_vector(store: VectorStore) -> VectorStore:
    return store


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """What is put around stores that are not open yet, outside of patience with them.

    What it returns keeps every promise of the port, opens what it was given and closes it.

    Attributes:
        kv: Wraps a truth, for instance to encrypt its values.
        vector: Wraps a vector store, for instance to keep something back from it.
    """

    kv: Callable[[KeyValueStore], KeyValueStore] = _as_it_is_kv
    vector: Callable[[VectorStore], VectorStore] = _as_it_is_vector


UNWRAPPED = Wrapping()
"""Leaves every store as it is."""


class BackendWrapper(Generic[BackendT]):
    """Stands for a backend, opens and closes it, and supports what it supports beyond its port.

    Upkeep, scrubbing and waiting for work are handed on as they are: they take the time
    they take, and concern nothing that a wrapper changes.

    Attributes:
        inner: The backend.
        maintain: There only if the backend has it.
        scrub: There only if the backend has it.
        wait_for_work: There only if the backend has it.
    """

    maintain: Callable[[], Awaitable[None]]
    scrub: Callable[[Mapping[str, Sequence[Coordinate]]], Awaitable[str]]
    wait_for_work: Callable[[], Awaitable[None]]

    def __init__(self, inner: BackendT) -> None:
        """Wrap a backend that is not open yet; it is opened and closed with the wrapper."""
        self.inner: Final = inner
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
        """Ask the backend itself."""
        await self.inner.ping()
