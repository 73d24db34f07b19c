"""What the ports of this backend have in common."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from sfm_backend_sqlite._database import SqliteDatabase
from sfm_backend_sqlite.settings import SCHEME
from sfm_core.clock import Clock
from sfm_core.errors import ClosedError, LimitExceededError
from sfm_core.protocols import MAX_BATCH

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SqlitePort:
    """A port served from an SQLite file that other ports may share."""

    def __init__(self, database: SqliteDatabase, clock: Clock) -> None:
        self._shared_database = database
        self._clock = clock
        self._open = False

    @property
    def scheme(self) -> str:
        """URL scheme under which it is registered."""
        return SCHEME

    @property
    def shared(self) -> bool:
        """True: other processes that open the file see the same data."""
        return True

    @property
    def _database(self) -> SqliteDatabase:
        if not self._open:
            raise ClosedError(
                "This SQLite store is not open.", remedy="Use it inside `async with`."
            )
        return self._shared_database

    async def __aenter__(self) -> Self:
        await self._shared_database.open()
        self._open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._open:
            self._open = False
            await self._shared_database.close()

    async def ping(self) -> None:
        """Read from the file.

        Raises:
            BackendError: It cannot be read.
        """
        await self._database.read(
            lambda connection: connection.execute("SELECT count(*) FROM property").fetchone()
        )


def check_batch(count: int, field: str) -> None:
    """Refuse a batch that is too large.

    Args:
        count: Its size.
        field: What to call it in the error.

    Raises:
        LimitExceededError: More than `MAX_BATCH`.
    """
    if count > MAX_BATCH:
        raise LimitExceededError(
            f"{field} has {count} elements, more than {MAX_BATCH}.",
            field=field,
            remedy="Split the batch.",
        )


def to_microseconds(moment: datetime) -> int:
    """Return a time as the file holds it."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(stored: int) -> datetime:
    """Return a time that the file holds."""
    return _EPOCH + stored * _MICROSECOND
