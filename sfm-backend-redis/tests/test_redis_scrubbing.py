"""After scrubbing, no file of the server has what was removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from redis_helpers import LEASE, open_kv, put
from redis_server import Server, tell

from sfm_core.protocols.kv import Commit, Write

Start = Callable[..., Server]
WORD = b"xylocarpous"


def files_with(folder: Path) -> list[str]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in found if WORD in path.read_bytes()]


@pytest.mark.parametrize("appended", ["yes", "no"])
async def test_neither_append_only_file_nor_snapshot(
    start_server: Start, tmp_path: Path, appended: str
) -> None:
    server = start_server("--appendonly", appended)
    async with open_kv(server.url) as store:
        await put(store, b"k", WORD * 3)
        await tell(server.url, "SAVE")
        assert files_with(tmp_path)
        gone = Commit(namespace="n", writes=(Write(b"k", None),))
        await store.commit([gone], owner="o", lease=LEASE)
        assert await store.scrub({"n": []}) == ""
        assert files_with(tmp_path) == []


async def test_a_server_that_refuses_is_told_of(start_server: Start) -> None:
    server = start_server("--appendonly", "yes")
    await tell(server.url, "ACL SETUSER", "default", "-bgrewriteaof")
    async with open_kv(server.url) as store:
        assert "does not let" in await store.scrub({"n": []})
