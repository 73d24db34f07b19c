"""Having a server write its files anew, without what was removed or replaced."""

from __future__ import annotations

import asyncio
import time
from typing import Final, cast

from sfm_backend_redis._client import RedisClient
from sfm_core.errors import BackendError, BackendUnavailableError, ConfigurationError

_PAUSE_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 300.0
_REPLICAS: Final = "Its replicas keep files of their own."
_REFUSED: Final = (
    "The server does not let its files be written anew, so they keep what was removed until it "
    "rewrites its append-only file, or saves its next snapshot, by itself."
)

_Told = dict[str, int | str]


async def rewrite_files(client: RedisClient, key: str) -> str:
    """Have the server that holds a key write its files anew, one after the other.

    Args:
        client: Speaks to it.
        key: The key.

    Returns:
        What may be left, in a sentence; "" where nothing is.

    Raises:
        BackendUnavailableError: The server was not reached, or takes too long.
        BackendError: It could not write.
    """
    try:
        told = await _idle(client, key)
        if told.get("aof_enabled") == 1:
            await client.node_command(key, "BGREWRITEAOF")
            told = await _idle(client, key)
            _check(told, "aof_last_bgrewrite_status", client)
        if told.get("rdb_saves") or await _saves(client, key):
            await client.node_command(key, "BGSAVE")
            told = await _idle(client, key)
            _check(told, "rdb_last_bgsave_status", client)
        replication = cast(_Told, await client.node_command(key, "INFO", "replication"))
    except (ConfigurationError, BackendError) as error:
        if isinstance(error, BackendError) and error.retryable:
            raise
        return _REFUSED
    return _REPLICAS if replication.get("connected_slaves") else ""


async def _saves(client: RedisClient, key: str) -> bool:
    """Tell whether the server saves snapshots by itself."""
    told = cast("dict[str, str]", await client.node_command(key, "CONFIG GET", "save"))
    return any(told.values())


async def _idle(client: RedisClient, key: str) -> _Told:
    """Wait until the server writes no file anew, and return what it tells of its files."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        told = cast(_Told, await client.node_command(key, "INFO", "persistence"))
        working = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
        if not any(told.get(name) for name in working):
            return told
        await asyncio.sleep(_PAUSE_SECONDS)
    raise BackendUnavailableError(
        f"{client.settings.place} takes long to write its files anew.",
        backend=client.settings.form.value,
    )


def _check(told: _Told, status: str, client: RedisClient) -> None:
    if told.get(status, "ok") != "ok":
        raise BackendUnavailableError(
            f"{client.settings.place} could not write its files anew.",
            backend=client.settings.form.value,
            remedy="See its log and its disk.",
        )
