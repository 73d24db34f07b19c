"""What the ports of this backend have in common."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from sfm_backend_redis._client import RedisClient
from sfm_core.porting import ServedPort

_MICROSECOND = timedelta(microseconds=1)


class RedisPort(ServedPort[RedisClient]):
    """A port served from a Redis."""

    def __init__(self, client: RedisClient) -> None:
        super().__init__(client, scheme=client.settings.form.value, shared=True)

    @property
    def _client(self) -> RedisClient:
        return self._opened

    @property
    def _prefix(self) -> str:
        return self._resource.settings.prefix

    async def ping(self) -> None:
        """Ask the server for a sign of life.

        Raises:
            BackendError: It gives none.
        """
        await self._client.command("PING")


def quoted(name: str) -> str:
    """Return a name as part of a key: distinct, readable, and without a pattern or hash tag."""
    return quote(name, safe="")


def microseconds(duration: timedelta) -> int:
    """Return a duration as the scripts take it."""
    return duration // _MICROSECOND


def milliseconds(duration: timedelta) -> int:
    """Return a time to live as the server takes it: at least the shortest there is."""
    return max(1, microseconds(duration) // 1000)
