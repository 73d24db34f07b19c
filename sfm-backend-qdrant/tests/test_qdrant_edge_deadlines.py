"""Qdrant's engine in a worker process: how long it is waited for."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from qdrant_helpers import COLLECTION, open_edge

from sfm_backend_qdrant._collections import INDEXES
from sfm_backend_qdrant._edge import EdgeQdrant
from sfm_backend_qdrant._urls import parse_url
from sfm_core.errors import DeadlineExceededError

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="NOT TESTED on Windows: processes that are stopped."
)


async def test_a_worker_that_does_not_answer_is_given_up_in_time(fast_folder: Path) -> None:
    async with open_edge(fast_folder, query="?timeout_seconds=3") as store:
        await store.ensure(COLLECTION)
        os.kill(store.worker, signal.SIGSTOP)
        try:
            with pytest.raises(DeadlineExceededError, match="within 3 s"):
                await store.ping()
        finally:
            os.kill(store.worker, signal.SIGCONT)
        await store.ping()


async def test_making_a_collection_may_take_long_for_each_of_its_indexes(
    fast_folder: Path,
) -> None:
    settings = parse_url("qdrant+edge:points", fast_folder, {})
    edge = EdgeQdrant(replace(settings, timeout=timedelta(milliseconds=10)))
    await edge.open()
    worker = edge.worker_id
    assert worker is not None
    os.kill(worker, signal.SIGSTOP)
    try:
        limit = 0.01 * (1 + len(INDEXES))
        with pytest.raises(DeadlineExceededError, match=f"within {limit:g} s"):
            await edge.create("c", 4)
    finally:
        os.kill(worker, signal.SIGCONT)
        await edge.close()
