"""What the ports of this backend have in common."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from sfm_backend_postgres._client import PostgresDatabase
from sfm_backend_postgres._statements import statements
from sfm_backend_postgres.settings import SCHEME
from sfm_core.errors import ClosedError, LimitExceededError
from sfm_core.protocols import MAX_BATCH

_PING = statements("truth")["ping"]


class PostgresPort:
    """A port served from a database that other ports may share."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._shared_database = database
        self._open = False

    @property
    def scheme(self) -> str:
        """URL scheme under which it is registered."""
        return SCHEME

    @property
    def shared(self) -> bool:
        """True: other processes that open the database see the same data."""
        return True

    @property
    def _database(self) -> PostgresDatabase:
        if not self._open:
            raise ClosedError(
                "This PostgreSQL store is not open.", remedy="Use it inside `async with`."
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
        """Read from the schema.

        Raises:
            BackendError: It cannot be read.
        """
        await self._database.fetch(_PING, {})


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
