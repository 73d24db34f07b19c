"""Several processes on one file, and processes that are killed."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_helpers import COLLECTION, clustered, open_kv, open_vector
from sqlite_worker import SHARED

from sfm_core.model.keys import KeyRange
from sfm_core.protocols.vector import VectorQuery

WORKER = Path(__file__).with_name("sqlite_worker.py")
Process = subprocess.Popen[str]


class Workers:
    """Writing processes; those that still run are killed at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Process] = []

    def start(self, name: str, count: int) -> Process:
        path = ":".join([str(WORKER.parent), *filter(None, sys.path)])
        process = subprocess.Popen(
            [sys.executable, str(WORKER), str(self._folder), name, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": path},
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    started = Workers(tmp_path)
    yield started
    started.close()


def line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def go(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def integrity(folder: Path) -> str:
    raw = sqlite3.connect(folder / "sfm.db")
    (answer,) = raw.execute("PRAGMA integrity_check").fetchone()
    raw.close()
    return str(answer)


async def test_eight_processes_lose_nothing(tmp_path: Path, workers: Workers) -> None:
    names = [f"p{number}" for number in range(8)]
    processes = [workers.start(name, 500) for name in names]
    for process in processes:
        assert line(process) == "ready\n"
    for process in processes:
        go(process)
    for process in processes:
        printed, _ = process.communicate(timeout=100)
        assert process.returncode == 0
        assert len(printed.split()) == 500
    async with open_kv(tmp_path) as kv, open_vector(tmp_path) as vectors:
        (rows,) = await kv.scan("n", [KeyRange(b"p", b"q")], limit=10_000)
        assert len(rows) == 4_000
        assert await kv.counters("n") == {"total": 4_000}
        assert (await kv.outbox_status()).depth == 0
        [shared] = await kv.get_many("n", [SHARED])
        assert shared is not None
        assert shared.version == 800
        queries = [
            VectorQuery(namespace=name, limit=100, vector=clustered(1, seed=1)[0]) for name in names
        ]
        assert [len(r.hits) for r in await vectors.search(COLLECTION, queries)] == [50] * 8
    assert integrity(tmp_path) == "ok"


async def test_what_was_acknowledged_survives_kill_nine(tmp_path: Path, workers: Workers) -> None:
    source = random.Random(7)
    for generation in range(8):
        name = f"g{generation}"
        process = workers.start(name, 100_000)
        assert line(process) == "ready\n"
        go(process)
        acknowledged = {line(process) for _ in range(source.randrange(1, 120))}
        process.kill()
        rest, _ = process.communicate()
        acknowledged |= {f"{number}\n" for number in rest.split("\n")[:-1]}
        async with open_kv(tmp_path) as kv:
            keys = [f"{name}/{int(number):06}".encode() for number in sorted(acknowledged)]
            assert None not in await kv.get_many("n", keys)
            (rows,) = await kv.scan("n", [KeyRange(b"g", b"h")], limit=10_000)
            assert await kv.counters("n") == {"total": len(rows)}
    assert integrity(tmp_path) == "ok"
