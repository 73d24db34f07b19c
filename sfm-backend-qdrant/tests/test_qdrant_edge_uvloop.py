"""The event loop of the server says in other words than asyncio's that a worker is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from qdrant_helpers import COLLECTION, WatchedEdgeStore, open_edge

from sfm_core.errors import BackendUnavailableError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no uvloop.")


def test_calls_to_a_worker_that_was_killed_fail_as_an_outage(tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")

    uvloop.run(kill_and_ask(tmp_path))


async def kill_and_ask(folder: Path) -> None:
    async with open_edge(folder) as store:
        await store.ensure(COLLECTION)
        for _ in range(3):
            await store.collections()
            asking = [asyncio.create_task(ask(store, turns)) for turns in range(0, 200, 4)]
            os.kill(store.worker, signal.SIGKILL)
            await asyncio.gather(*asking)


async def ask(store: WatchedEdgeStore, turns: int) -> None:
    # So that some ask when the pipe is closed, and the end of the process is not known yet.
    for _ in range(turns):
        await asyncio.sleep(0)
    try:
        await store.scroll(COLLECTION, "n", after=None, limit=10)
    except BackendUnavailableError:
        return
