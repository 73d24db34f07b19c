"""The truth in a Redis."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final, cast

from sfm_backend_redis._commits import encode_commits, read_results
from sfm_backend_redis._outbox import RedisOutbox
from sfm_backend_redis._port import microseconds, quoted
from sfm_backend_redis._scrubbing import rewrite_files
from sfm_core.errors import BackendError, CorruptDataError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import KeyRange
from sfm_core.porting import check_batch, check_keys, check_limit
from sfm_core.protocols.kv import Commit, CommitResult, Entry

_LOG = logging.getLogger(__name__)


class RedisKeyValueStore(RedisOutbox):
    """Holds every memory and every link, in one hash slot.

    The event log has one order over all namespaces, and a commit writes to it
    in the same step: so the truth as a whole lives on one server of a cluster.
    """

    async def _take(self, stack: AsyncExitStack) -> None:
        await super()._take(stack)
        await self._resource.check_durability()
        await self._warn_if_volatile()

    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        """Read many entries; see `KeyValueStore.get_many`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` keys.
            CorruptDataError: An entry could not be read.
            BackendError: The server could not be reached, or refused.
        """
        check_batch(len(keys), "keys")
        client = self._client
        if not keys:
            return []
        found = await client.command("HMGET", self.key("entries", quoted(namespace)), *keys)
        return [
            None if stored is None else self._entry(key, stored)
            for key, stored in zip(keys, cast(list[bytes | None], found), strict=True)
        ]

    async def scan(
        self, namespace: str, ranges: Sequence[KeyRange], *, limit: int
    ) -> list[list[tuple[bytes, Entry]]]:
        """Read the first entries of many key ranges; see `KeyValueStore.scan`.

        Raises:
            LimitExceededError: Too many ranges, or a limit out of bounds.
            CorruptDataError: An entry could not be read.
            BackendError: The server could not be reached, or refused.
        """
        check_batch(len(ranges), "ranges")
        check_limit(limit)
        client = self._client
        if not ranges:
            return []
        name = quoted(namespace)
        arguments: list[bytes | int] = [limit]
        for each in ranges:
            arguments += _bounds(each)
        answer = await client.run(
            "scan", [self.key("entries", name), self.key("keys", name)], arguments
        )
        return [
            [
                (key, self._entry(key, stored))
                for key, stored in zip(flat[::2], flat[1::2], strict=True)
            ]
            for flat in cast(list[list[bytes]], answer)
        ]

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        """Carry out many commits in one script; see `KeyValueStore.commit`.

        Raises:
            LimitExceededError: Too many commits, or a key over `MAX_KEY_BYTES`; nothing happened.
            BackendUnavailableError: The server was not reached in time, or has the
                commits but not as durable as asked for. Any may have happened.
            StorageFullError: No memory; nothing happened.
            ReadOnlyStorageError: The server takes no writes; nothing happened.
        """
        check_batch(len(commits), "commits")
        for commit in commits:
            check_keys(commit)
        client = self._client
        if not commits:
            return []
        names = list(dict.fromkeys(commit.namespace for commit in commits))
        keys = [self.key(part) for part in ("namespaces", "seq", "notes", "order", "leases", "log")]
        for name in map(quoted, names):
            keys += [self.key(part, name) for part in ("entries", "keys", "counters")]
        arguments = (owner, microseconds(lease), encode_commits(commits, names))
        answer = await client.run_durably("commit", keys, arguments)
        return read_results(commits, cast(list[list[int | bytes | None]], answer), self._entry)

    async def counters(self, namespace: str) -> dict[str, int]:
        """Read the counters of a namespace.

        Raises:
            BackendError: The server could not be reached, or refused.
        """
        answer = await self._client.command("HGETALL", self.key("counters", quoted(namespace)))
        counters = cast(dict[bytes, bytes], answer)
        return {name.decode(): int(amount) for name, amount in counters.items()}

    async def namespaces(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """List the namespaces that hold or held an entry, by code point.

        Raises:
            BackendError: The server could not be reached, or refused.
        """
        # UTF-8 sorts byte by byte as its code points do.
        answer = await self._client.command(
            "ZRANGE", self.key("namespaces"), f"({after}", "+", "BYLEX", "LIMIT", 0, limit
        )
        return [name.decode() for name in cast(list[bytes], answer)]

    async def scrub(self, places: Mapping[str, Sequence[Coordinate]]) -> str:
        """Have the server write its files anew; see `SupportsScrubbing.scrub`.

        Raises:
            BackendUnavailableError: The server was not reached, or takes too long.
            BackendError: It could not write.
        """
        del places
        return await rewrite_files(self._client, self.key("seq"))

    def _entry(self, key: bytes, stored: bytes) -> Entry:
        version, blank, value = stored.partition(b" ")
        if not (blank and version.isdigit()):
            raise CorruptDataError(
                f"The entry under {key[:80]!r} is not one that this store wrote.",
                backend=self.scheme,
                remedy="Restore it from a backup.",
            )
        return Entry(value, int(version))

    async def _warn_if_volatile(self) -> None:
        try:
            answer = await self._resource.node_command(
                self.key("seq"), "INFO", "persistence", "memory"
            )
        except BackendError:
            # Managed services may refuse it; that says nothing about their disks.
            _LOG.debug("The server does not tell what it keeps.", exc_info=True)
            return
        told = cast(dict[str, int | str], answer)
        if str(told.get("maxmemory_policy", "")).startswith("allkeys"):
            _LOG.warning(
                "%s removes memories when it is full. Set maxmemory-policy noeviction.",
                self._resource.settings.place,
            )
        if told.get("aof_enabled") == 0:
            _LOG.warning(
                "%s keeps no append-only file: commits since its last snapshot are lost "
                "when it stops. Set appendonly yes.",
                self._resource.settings.place,
            )


def _bounds(wanted: KeyRange) -> tuple[bytes, bytes, int]:
    start: Final = b"[" + wanted.start
    end: Final = b"+" if wanted.end is None else b"(" + wanted.end
    return (end, start, 1) if wanted.reverse else (start, end, 0)
