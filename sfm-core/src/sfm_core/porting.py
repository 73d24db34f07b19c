"""What backends have in common, for those who write one.

A backend need not use any of it: a port is a protocol, and nothing here is looked for.
"""

from __future__ import annotations

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import AsyncExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sfm_core.errors import (
    ClosedError,
    ConfigurationError,
    InvalidInputError,
    LimitExceededError,
)
from sfm_core.model.events import START, Position
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.kv import MAX_KEY_BYTES, Commit
from sfm_core.protocols.vector import Collection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 2**63 - 1


class Port:
    """Opening and closing of a backend.

    Attributes:
        scheme: URL scheme under which it is registered, for errors and health.
        shared: Whether other processes opened with the same URL see the same data.
    """

    def __init__(self, *, scheme: str, shared: bool) -> None:
        """Say what it is; it is not open yet.

        Args:
            scheme: URL scheme under which it is registered.
            shared: Whether other processes see the same data.
        """
        self.scheme = scheme
        self.shared = shared
        self._taken: AsyncExitStack | None = None

    async def __aenter__(self) -> Self:
        """Open it; where that fails half-way, what was taken is released."""
        async with AsyncExitStack() as stack:
            await self._take(stack)
            self._taken = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release what was taken, the last first; nothing happens where it is not open."""
        taken, self._taken = self._taken, None
        if taken is not None:
            await taken.aclose()

    async def _take(self, stack: AsyncExitStack) -> None:
        """Take what the port works with; extend this.

        Args:
            stack: Is told how each thing is released.
        """

    def _check_open(self) -> None:
        """Refuse to work before the port is opened and after it is closed; call it first.

        Raises:
            ClosedError: It is not open.
        """
        if self._taken is None:
            raise ClosedError(
                f"{type(self).__name__} is not open.", remedy="Use it inside `async with`."
            )


class Resource(Protocol):
    """What a port is served from: a pool of connections, a file, a process."""

    async def open(self) -> None:
        """Open it, or count one more user; nothing is taken where that fails."""
        ...

    async def close(self) -> None:
        """Close it, or count one user less."""
        ...


ResourceT = TypeVar("ResourceT", bound=Resource)


class ServedPort(Port, Generic[ResourceT]):
    """A port that is served from a resource, which it opens and closes.

    Attributes:
        scheme: URL scheme under which it is registered, for errors and health.
        shared: Whether other processes opened with the same URL see the same data.
    """

    def __init__(self, resource: ResourceT, *, scheme: str, shared: bool) -> None:
        """Say what it is served from; it is not open yet.

        Args:
            resource: What it is served from.
            scheme: URL scheme under which it is registered.
            shared: Whether other processes see the same data.
        """
        super().__init__(scheme=scheme, shared=shared)
        self._resource = resource

    @property
    def _opened(self) -> ResourceT:
        """The resource, for a method that works with it.

        Raises:
            ClosedError: The port is not open.
        """
        self._check_open()
        return self._resource

    async def _take(self, stack: AsyncExitStack) -> None:
        await super()._take(stack)
        await self._resource.open()
        stack.push_async_callback(self._resource.close)


class SharedResource(ABC):
    """A resource of several ports: opened for the first of them, closed after the last.

    `BackendContext.share` hands the same one to all ports of an engine.
    """

    def __init__(self) -> None:
        """Begin without a user."""
        self._users = 0
        self._turn = asyncio.Lock()
        self._held = AsyncExitStack()

    async def open(self) -> None:
        """Open it at the first call, and count one more user."""
        async with self._turn:
            if self._users == 0:
                async with AsyncExitStack() as stack:
                    await self._take(stack)
                    self._held = stack.pop_all()
            self._users += 1

    async def close(self) -> None:
        """Count one user less, and close it after the last."""
        async with self._turn:
            self._users -= 1
            if self._users == 0:
                await self._held.aclose()

    @abstractmethod
    async def _take(self, stack: AsyncExitStack) -> None:
        """Open it.

        Args:
            stack: Is told how each part is closed. Where opening fails
                half-way, what it was told of is closed.
        """


def check_batch(count: int, field: str) -> None:
    """Refuse a bulk call that is too large.

    Args:
        count: How many elements it has.
        field: Name of the argument.

    Raises:
        LimitExceededError: More than `MAX_BATCH`.
    """
    if count > MAX_BATCH:
        raise LimitExceededError(
            f"{field} has {count} elements, more than {MAX_BATCH}.",
            field=field,
            remedy="Call several times with less each.",
        )


def check_keys(commit: Commit) -> None:
    """Refuse a commit with a key that is too long, wherever it stands.

    Args:
        commit: What a key-value store is asked for.

    Raises:
        LimitExceededError: A key over `MAX_KEY_BYTES`.
    """
    keys = [*(write.key for write in commit.writes), *commit.expect]
    keys += [*commit.dirty, *(event.key for event in commit.events)]
    longest = max(map(len, keys), default=0)
    if longest > MAX_KEY_BYTES:
        raise LimitExceededError(
            f"A key takes {longest} bytes, more than {MAX_KEY_BYTES}.",
            field="key",
            remedy="Use shorter names or fewer components.",
        )


def check_vector(
    vector: NDArray[np.float32], collection: Collection, of: object = "a query"
) -> None:
    """Refuse a vector that is not of the length of its collection.

    Args:
        vector: The vector of a point or of a query.
        collection: Where it is to be kept, or compared.
        of: Whose it is, for the message: the coordinate of a point.

    Raises:
        InvalidInputError: Its shape is another one.
    """
    if vector.shape != (collection.dimension,):
        raise InvalidInputError(
            f"The vector of {of} has the shape {vector.shape}.",
            field="vector",
            remedy=f"The collection takes {collection.dimension} numbers.",
        )


def check_limit(limit: int) -> None:
    """Refuse a limit that is out of bounds.

    Args:
        limit: Most elements to return.

    Raises:
        LimitExceededError: Not from 1 to `MAX_BATCH`.
    """
    if not 1 <= limit <= MAX_BATCH:
        raise LimitExceededError(
            f"limit is {limit}.", field="limit", remedy=f"Use 1 to {MAX_BATCH}."
        )


def position_number(position: Position) -> int:
    """Read a position of an event log that numbers its events from 1, in 64 bits.

    Args:
        position: What a caller gives for one.

    Returns:
        The number; 0 for `START`.

    Raises:
        InvalidInputError: It is no such number. Nothing of a longer one is read.
    """
    if position == START:
        return 0
    plain = position.isascii() and position.isdecimal() and len(position) <= len(str(_LARGEST))
    if not plain or int(position) > _LARGEST:
        raise InvalidInputError(
            f"{position[:80]!r} is not a position of this event log.",
            field="position",
            remedy="Use a position that this store returned, or START.",
        )
    return int(position)


def to_microseconds(moment: datetime) -> int:
    """Return a time as microseconds since 1970, without the rounding of a float."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(stored: int) -> datetime:
    """Return the time, in UTC, that `to_microseconds` took apart."""
    return _EPOCH + stored * _MICROSECOND


@contextmanager
def only_user(folder: Path, *, scheme: str) -> Generator[None]:
    """Hold a folder for this process, for a backend of which only one may work there.

    The operating system lets go of it when the process ends, however it does.

    Args:
        folder: The folder; it is made where it is missing.
        scheme: URL scheme of the backend, for the message.

    Raises:
        ConfigurationError: Somebody else holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The one lock that the standard library has on every system is SQLite's.
    with closing(sqlite3.connect(folder / ".lock", timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise ConfigurationError(
                f"{folder} is in use: only one process at a time can use {scheme!r}.",
                remedy="Stop the other one, or choose another folder.",
            ) from error
        yield
