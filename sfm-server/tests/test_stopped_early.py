"""A server that is told to stop before it has started, and one that is told while it looks."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from fix_serving import Server, start
from test_workers import until, workers_of

from sfm_core.clock import SystemClock
from sfm_core.engine.changeover import LEASE
from sfm_core.engine.locking import locked
from sfm_core.engine.succession import LOCK
from sfm_core.engine.walking import entries_of
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import KeyValueStore
from sfm_server.assembly import open_memory
from sfm_server.closing import StoppedEarlyError, unless_told
from sfm_server.loading import load_settings
from sfm_server.selection import select
from sfm_server.truths import truth_maker

OLD, NEW = "sqlite:old.db", "sqlite:new.db"
VARIABLES = {"SFM_EMBEDDER_URL": "hashing:", "OTEL_TRACES_EXPORTER": "none"}
WAITING = "waiting for succession"
ENDED_BY = {0, -signal.SIGTERM}


async def test_what_a_start_does_is_given_up_when_the_server_is_told_to_stop() -> None:
    closing, given_up = asyncio.Event(), asyncio.Event()

    async def start() -> None:
        closing.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    with pytest.raises(StoppedEarlyError):
        await unless_told(closing, start())
    assert given_up.is_set()


async def test_a_start_that_fails_while_it_is_given_up_is_told_to_nobody() -> None:
    closing = asyncio.Event()

    async def start() -> None:
        closing.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError

    with pytest.raises(StoppedEarlyError):
        await unless_told(closing, start())


async def test_a_start_that_nobody_stops_returns_what_it_made_or_fails_as_it_did() -> None:
    async def fail() -> None:
        raise OSError

    assert await unless_told(asyncio.Event(), asyncio.sleep(0, "made")) == "made"
    with pytest.raises(OSError):  # noqa: PT011 - it has no words
        await unless_told(asyncio.Event(), fail())


async def keys_of(store: KeyValueStore, prefix: bytes) -> list[bytes]:
    return [key async for key, _ in entries_of(store, SYSTEM_NAMESPACE, prefix)]


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_start_that_waits_for_others_ends_when_it_is_told_to_stop(
    tmp_path: Path, workers: int
) -> None:
    given = {"MEMORY_MODE": "embedded", "SFM_DATA_FOLDER": str(tmp_path / "data"), **VARIABLES}
    before = load_settings({**given, "SFM_KV_URL": OLD})
    async with open_memory(before.settings, options=before.options) as memory:
        await memory.engine.remember("default", {"text": "tea"})
    after = load_settings({**given, "SFM_KV_URL": NEW, "SFM_FORMER_KV_URLS": OLD})
    maker = truth_maker(select(after.settings, options=after.options))

    async with maker.kv(NEW) as store:
        async with locked(store, SystemClock(), "another", LOCK, lease=LEASE):
            environ = {"SFM_KV_URL": NEW, "SFM_FORMER_KV_URLS": OLD, **VARIABLES}
            server = await asyncio.to_thread(
                start, tmp_path, environ=environ | {"UVICORN_WORKERS": str(workers)}, wait=False
            )
            await asyncio.to_thread(until, lambda: server.log.read_text().count(WAITING) == workers)
            log = await asyncio.to_thread(server.stop)
        assert server.process.returncode in ENDED_BY
        assert "Application startup complete" not in log
        assert "Traceback" not in log
        # The next start waits for nobody.
        assert await keys_of(store, b"engine/") == await keys_of(store, b"lock/") == []


def test_a_stop_is_heard_while_a_worker_does_not_answer(tmp_path: Path) -> None:
    server = start(tmp_path, environ=VARIABLES | {"UVICORN_WORKERS": "2"})
    try:
        _stop_beside_a_worker_that_stands_still(server)
    finally:
        server.stop(signal.SIGKILL)


def _stop_beside_a_worker_that_stands_still(server: Server) -> None:
    until(lambda: server.log.read_text().count("Application startup complete") == 2)
    still = workers_of(server)[0]
    still.suspend()
    server.process.send_signal(signal.SIGTERM)
    until(lambda: "Received SIGTERM" in server.log.read_text())
    still.resume()
    log = server.stop()
    assert f"Finished server process [{still.pid}]" in log
    assert server.process.returncode == 0
