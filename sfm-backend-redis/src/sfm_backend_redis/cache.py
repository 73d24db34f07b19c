"""Copies and shared counters in a Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import cast

from sfm_backend_redis._port import RedisPort, milliseconds, quoted
from sfm_core.errors import CorruptDataError
from sfm_core.porting import check_batch
from sfm_core.protocols.cache import Cached

_SCAN_PAGE = 1000
# What follows the version says what it is the version of.
_COPY = b"="
_TOMBSTONE = b"-"


class RedisCache(RedisPort):
    """Copies under keys of their own, so that the server forgets each in time.

    All copies of a namespace are in one hash slot; namespaces are spread over a cluster.
    """

    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Cached | None]:
        """Read many copies; see `Cache.get_many`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` keys.
            CorruptDataError: A copy is not one that a cache wrote.
            BackendError: The server could not be reached, or refused.
        """
        check_batch(len(keys), "keys")
        client = self._client
        if not keys:
            return []
        start = self._start(namespace)
        answer = await client.command("MGET", *(start + key for key in keys))
        return [
            None if stored is None else self._cached(stored)
            for stored in cast(list[bytes | None], answer)
        ]

    async def set_if_newer(
        self, namespace: str, entries: Mapping[bytes, Cached], *, ttl: timedelta
    ) -> None:
        """Keep copies that are newer than what is kept; see `Cache.set_if_newer`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` entries; none was kept.
            BackendError: The server could not be reached, or refused.
        """
        check_batch(len(entries), "entries")
        client = self._client
        if not entries:
            return
        start = self._start(namespace)
        arguments: list[bytes | int] = [milliseconds(ttl)]
        for cached in entries.values():
            kind = _TOMBSTONE if cached.value is None else _COPY
            copy = b"%d %b%b" % (cached.version, kind, cached.value or b"")
            arguments += (b"%d" % cached.version, copy)
        await client.run("cache_set", [start + key for key in entries], arguments)

    async def increment(self, key: str, amount: int, *, ttl: timedelta) -> int:
        """Add to a counter; see `Cache.increment`.

        Raises:
            BackendError: The server could not be reached, or refused; it may have counted.
        """
        name = f"{self._prefix}:count:{quoted(key)}"
        answer = await self._client.run("cache_increment", [name], [amount, milliseconds(ttl)])
        return int(cast(bytes, answer))

    async def clear(self, namespace: str) -> None:
        """Forget every copy of a namespace; see `Cache.clear`.

        The server is asked for its keys page by page, so the time it takes
        grows with all keys there are; other calls are answered in between.

        Raises:
            BackendError: The server could not be reached, or refused; some copies may be gone.
        """
        client = self._client
        start = self._start(namespace)
        cursor = 0
        while True:
            answer = await client.node_command(
                start.decode(), "SCAN", cursor, "MATCH", start + b"*", "COUNT", _SCAN_PAGE
            )
            cursor, found = _page(answer)
            if found:
                await client.command("UNLINK", *found)
            if not cursor:
                return

    def _start(self, namespace: str) -> bytes:
        return f"{{{self._prefix}:cache:{quoted(namespace)}}}:".encode()

    def _cached(self, stored: bytes) -> Cached:
        version, _, rest = stored.partition(b" ")
        kind, value = rest[:1], rest[1:]
        if not version.isdigit() or kind not in {_COPY, _TOMBSTONE}:
            raise CorruptDataError(
                "A copy is not one that a cache of this version wrote.",
                backend=self.scheme,
                remedy="Clear the cache; the truth is unharmed.",
            )
        return Cached(int(version), value if kind == _COPY else None)


def _page(answer: object) -> tuple[int, list[bytes]]:
    cursor, found = cast(tuple[int | dict[str, int], list[bytes]], answer)
    # From a cluster the cursor comes with the name of its node.
    return next(iter(cursor.values())) if isinstance(cursor, dict) else cursor, found
