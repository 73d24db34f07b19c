"""What the ports of this backend have in common."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self
from urllib.parse import quote

from sfm_backend_redis._client import RedisClient
from sfm_core.errors import ClosedError, LimitExceededError
from sfm_core.protocols import MAX_BATCH

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class RedisPort:
    """A port served from a Redis."""

    def __init__(self, client: RedisClient) -> None:
        self._connection = client
        self._open = False

    @property
    def scheme(self) -> str:
        """URL scheme under which it is registered."""
        return self._connection.settings.form.value

    @property
    def shared(self) -> bool:
        """True: other processes that use the server see the same data."""
        return True

    @property
    def _client(self) -> RedisClient:
        if not self._open:
            raise ClosedError("This Redis store is not open.", remedy="Use it inside `async with`.")
        return self._connection

    @property
    def _prefix(self) -> str:
        return self._connection.settings.prefix

    async def __aenter__(self) -> Self:
        await self._connection.open()
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
            await self._connection.close()

    async def ping(self) -> None:
        """Ask the server for a sign of life.

        Raises:
            BackendError: It gives none.
        """
        await self._client.command("PING")


def quoted(name: str) -> str:
    """Return a name as part of a key: distinct, readable, and without a pattern or hash tag."""
    return quote(name, safe="")


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


def microseconds(duration: timedelta) -> int:
    """Return a duration as the scripts take it."""
    return duration // _MICROSECOND


def milliseconds(duration: timedelta) -> int:
    """Return a time to live as the server takes it: at least the shortest there is."""
    return max(1, microseconds(duration) // 1000)


def to_microseconds(moment: datetime) -> int:
    """Return a time as the server holds it."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(stored: int) -> datetime:
    """Return a time that the server holds."""
    return _EPOCH + stored * _MICROSECOND
