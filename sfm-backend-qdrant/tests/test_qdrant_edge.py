"""Qdrant's engine in a worker process: what becomes of points when processes die."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from qdrant_client import models
from qdrant_helpers import COLLECTION, WatchedEdgeStore, numbered, open_edge

from sfm_backend_qdrant import _edge
from sfm_backend_qdrant._urls import parse_url
from sfm_backend_qdrant.edge.copying import copy_folder
from sfm_backend_qdrant.edge.errors import WorkerRefusedError
from sfm_backend_qdrant.edge.messages import Condition, Problem, Request, Start, framed
from sfm_backend_qdrant.edge.problems import translated
from sfm_core.clock import SystemClock
from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    CorruptDataError,
    ReadOnlyStorageError,
    StorageFullError,
)
from sfm_core.protocols.vector import Collection, PointState, VectorQuery
from sfm_core.resilience.policy import Policy
from sfm_core.resilience.vector import ResilientVectorStore
from sfm_core.testing.samples import axis, coordinate, point, unit_vectors

WIDE = Collection(name="wide", dimension=64)

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="NOT TESTED on Windows: processes that are killed or stopped."
)


@pytest_asyncio.fixture
async def store(fast_folder: Path) -> AsyncIterator[WatchedEdgeStore]:
    async with open_edge(fast_folder) as store:
        await store.ensure(COLLECTION)
        yield store


async def listed(store: WatchedEdgeStore, collection: Collection = COLLECTION) -> list[PointState]:
    return await store.scroll(collection, "n", after=None, limit=200_000)


async def nearest(
    store: WatchedEdgeStore, collection: Collection, vectors: NDArray[np.float32]
) -> list[set[int]]:
    """Return the numbers of the ten nearest points of each vector."""
    found: list[set[int]] = []
    for first in range(0, len(vectors), 20):
        queries = [
            VectorQuery(namespace="n", limit=10, vector=vector)
            for vector in vectors[first : first + 20]
        ]
        results = await store.search(collection, queries)
        found += [{int(hit.coordinate.components[0]) for hit in each.hits} for each in results]
    return found


def exactly(vectors: NDArray[np.float32], asked: NDArray[np.float32]) -> list[set[int]]:
    scores = asked @ vectors.T
    return [set(row) for row in np.argpartition(scores, -10, axis=1)[:, -10:].tolist()]


async def write_vectors(store: WatchedEdgeStore, vectors: NDArray[np.float32]) -> None:
    await store.ensure(WIDE)
    for first in range(0, len(vectors), 1000):
        rows = range(first, min(first + 1000, len(vectors)))
        points = [point("n", coordinate(float(row)), vectors[row]) for row in rows]
        await store.upsert(WIDE, points)


async def test_nobody_notices_that_the_worker_was_killed(store: WatchedEdgeStore) -> None:
    """The engine asks again, and the next worker answers."""
    patient = ResilientVectorStore(store, clock=SystemClock(), policy=Policy())
    await patient.upsert(COLLECTION, numbered(0, 50))
    os.kill(store.worker, signal.SIGKILL)
    await patient.upsert(COLLECTION, numbered(50, 50))
    os.kill(store.worker, signal.SIGKILL)
    assert len(await patient.scroll(COLLECTION, "n", after=None, limit=200)) == 100


async def test_a_call_that_the_worker_did_not_survive_says_so(store: WatchedEdgeStore) -> None:
    first = store.worker
    os.kill(first, signal.SIGSTOP)
    call = asyncio.create_task(store.upsert(COLLECTION, numbered(0, 10)))
    await asyncio.sleep(0)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(BackendUnavailableError, match="worker process"):
        await call
    await store.upsert(COLLECTION, numbered(0, 10))
    assert store.worker != first


async def test_a_caller_who_goes_away_takes_nobody_else_along(store: WatchedEdgeStore) -> None:
    os.kill(store.worker, signal.SIGSTOP)
    gone = asyncio.create_task(store.upsert(COLLECTION, numbered(0, 10)))
    stays = asyncio.create_task(store.upsert(COLLECTION, numbered(10, 10)))
    await asyncio.sleep(0)
    gone.cancel()
    os.kill(store.worker, signal.SIGCONT)
    await stays
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert {state.id.coordinate for state in await listed(store)} >= {
        coordinate(float(number)) for number in range(10, 20)
    }


@pytest.mark.parametrize("victim", ["worker", "parent"])
async def test_what_was_acknowledged_survives_the_death_of_either_process(
    fast_folder: Path, victim: str
) -> None:
    script = Path(__file__).with_name("edge_writer.py")
    command = [sys.executable, str(script), str(fast_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:  # noqa: ASYNC220 - a test's own process
        assert writer.stdout is not None
        worker = int(writer.stdout.readline().split()[1])
        lines = [writer.stdout.readline() for _ in range(40)]
        os.kill(worker if victim == "worker" else writer.pid, signal.SIGKILL)
        if victim == "worker":
            writer.kill()
        lines += writer.stdout.readlines()
    acknowledged = max(int(line.split()[1]) for line in lines if line.endswith(b"\n"))
    async with open_edge(fast_folder) as store:
        found = {int(state.id.coordinate.components[0]) for state in await listed(store)}
    assert found >= set(range(acknowledged))


def test_a_worker_that_nobody_listens_to_any_more_ends_without_a_word(fast_folder: Path) -> None:
    start = Start(
        folder=str(fast_folder),
        durable=False,
        wait_seconds=1,
        scan_kilobytes=1000,
        step_kilobytes=1000,
    )
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        "from sfm_backend_qdrant.edge.serving import main; main()"
    )
    gone, kept = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-I", "-c", program],
        stdin=subprocess.PIPE,
        stdout=kept,
        stderr=subprocess.PIPE,
    ) as worker:
        os.close(gone)
        os.close(kept)
        _, said = worker.communicate(framed(Request(1, start)), timeout=60)

    assert (worker.returncode, said) == (0, b"")


async def test_a_folder_that_another_process_has_is_refused(
    store: WatchedEdgeStore, fast_folder: Path
) -> None:
    other = open_edge(fast_folder, lock_wait=0.1)
    with pytest.raises(ConfigurationError, match="in use by another process") as caught:
        async with other:
            pass
    assert "run a server" in caught.value.remedy
    assert not store.shared


async def test_points_are_there_when_the_folder_is_opened_again(fast_folder: Path) -> None:
    for first in (0, 10):
        async with open_edge(fast_folder) as store:
            await store.ensure(COLLECTION)
            await store.upsert(COLLECTION, numbered(first, 10))
    async with open_edge(fast_folder) as store:
        assert len(await listed(store)) == 20


async def test_ten_thousand_points_are_searched_as_comparing_all_would(
    fast_folder: Path,
) -> None:
    vectors, asked = unit_vectors(10_000, 64), unit_vectors(50, 64, seed=5)
    async with open_edge(fast_folder) as store:
        await write_vectors(store, vectors)
        await store.maintain()
        assert await nearest(store, WIDE, asked) == exactly(vectors, asked)


async def test_a_graph_is_extended_beside_without_losing_what_is_written_meanwhile(
    fast_folder: Path,
) -> None:
    """Points are written, replaced and removed while the copy is at work."""
    vectors, asked = unit_vectors(6_000, 64), unit_vectors(50, 64, seed=5)
    async with open_edge(fast_folder, scan_kilobytes=300, step_kilobytes=300) as store:
        await write_vectors(store, vectors)
        first = shard_of(fast_folder)
        replaced = unit_vectors(3_000, 64, seed=9)
        last = len(vectors)
        for round_number in range(400):
            rows = range(round_number * 7, round_number * 7 + 7)
            vectors[rows.start : rows.stop] = replaced[rows.start : rows.stop]
            await store.upsert(
                WIDE, [point("n", coordinate(float(row)), vectors[row]) for row in rows]
            )
            last -= 1
            await store.delete(WIDE, [point("n", coordinate(float(last)), vectors[0]).id])
            if round_number > 50 and shard_of(fast_folder) != first:
                break
            await asyncio.sleep(0.02)
        assert shard_of(fast_folder) != first
        assert len(await listed(store, WIDE)) == last
        expected = exactly(vectors[:last], asked)
        found = await nearest(store, WIDE, asked)
        common = sum(len(one & other) for one, other in zip(found, expected, strict=True))
        assert common >= 0.95 * 10 * len(asked)


async def begin_to_extend(store: WatchedEdgeStore, folder: Path) -> psutil.Process:
    """Write until a copy is at work, and return the process that works on it."""
    await write_vectors(store, unit_vectors(3_000, 64))
    for _ in range(500):
        if children := psutil.Process(store.worker).children():
            return children[0]
        await store.upsert(WIDE, [point("n", coordinate(0.0), axis(0, 64))])
    raise AssertionError(list(collection_folder(folder).iterdir()))


async def test_the_death_of_a_worker_that_extends_a_graph_costs_no_point(
    fast_folder: Path,
) -> None:
    async with open_edge(fast_folder, scan_kilobytes=300, step_kilobytes=300) as store:
        copying = await begin_to_extend(store, fast_folder)
        os.kill(store.worker, signal.SIGKILL)
        copying.wait(60)
    async with open_edge(fast_folder) as store:
        assert len(await listed(store, WIDE)) == 3_000
        folders = [each for each in collection_folder(fast_folder).iterdir() if each.is_dir()]
        assert [each.name for each in folders] == [shard_of(fast_folder)]


async def test_a_copy_whose_process_dies_is_given_up(fast_folder: Path) -> None:
    async with open_edge(fast_folder, scan_kilobytes=300, step_kilobytes=300) as store:
        copying = await begin_to_extend(store, fast_folder)
        worker = store.worker
        copying.suspend()
        first = shard_of(fast_folder)
        copying.kill()
        while len([each for each in collection_folder(fast_folder).iterdir() if each.is_dir()]) > 1:
            await store.ping()
        assert (store.worker, shard_of(fast_folder)) == (worker, first)
        assert len(await listed(store, WIDE)) == 3_000


@pytest.mark.parametrize("how", ["drop", "close"])
async def test_extending_ends_with_the_collection_and_with_the_store(
    fast_folder: Path, how: str
) -> None:
    async with open_edge(fast_folder, scan_kilobytes=300, step_kilobytes=300) as store:
        copying = await begin_to_extend(store, fast_folder)
        if how == "drop":
            await store.drop(WIDE)
            assert await store.collections() == []
            assert not copying.is_running()
    assert not copying.is_running()
    async with open_edge(fast_folder) as store:
        await store.ensure(WIDE)
        assert len(await listed(store, WIDE)) == (0 if how == "drop" else 3_000)


def collection_folder(folder: Path) -> Path:
    return folder / "points" / "collections" / WIDE.name


def shard_of(folder: Path) -> str:
    marker = collection_folder(folder) / "collection.json"
    return str(json.loads(marker.read_bytes())["shard"])


def test_a_copy_has_what_the_files_have_and_holes_where_they_have(tmp_path: Path) -> None:
    (tmp_path / "from" / "deep").mkdir(parents=True)
    files = {"empty": b"", "whole": os.urandom(3_000_000), "holes": b""}
    for name, content in files.items():
        (tmp_path / "from" / "deep" / name).write_bytes(content)
    with (tmp_path / "from" / "deep" / "holes").open("wb") as file:
        file.seek(10_000_000)
        file.write(b"x" * 5_000)
        file.truncate(20_000_000)
    copy_folder(tmp_path / "from", tmp_path / "to")
    for name in files:
        source, target = (tmp_path / folder / "deep" / name for folder in ("from", "to"))
        assert source.read_bytes() == target.read_bytes()
        assert target.stat().st_blocks <= source.stat().st_blocks + 8


async def test_a_copy_that_was_left_behind_is_removed(fast_folder: Path) -> None:
    async with open_edge(fast_folder) as store:
        await store.ensure(COLLECTION)
        await store.upsert(COLLECTION, numbered(0, 10))
    folder = fast_folder / "points" / "collections" / COLLECTION.name
    (folder / "1" / "segments").mkdir(parents=True)
    async with open_edge(fast_folder) as store:
        assert len(await listed(store)) == 10
    assert [each.name for each in folder.iterdir() if each.is_dir()] == ["0"]


async def test_a_collection_whose_making_was_cut_short_is_made_anew(fast_folder: Path) -> None:
    (fast_folder / "points" / "collections" / COLLECTION.name / "0" / "segments").mkdir(
        parents=True
    )
    async with open_edge(fast_folder) as store:
        assert await store.collections() == []
        await store.ensure(COLLECTION)
        assert await store.collections() == [COLLECTION]


@pytest.mark.parametrize("marker", [b"{", b'{"format":2,"dimension":8,"shard":"0"}'])
async def test_a_collection_that_cannot_be_read_is_reported(
    fast_folder: Path, marker: bytes
) -> None:
    folder = fast_folder / "points" / "collections" / COLLECTION.name
    folder.mkdir(parents=True)
    (folder / "collection.json").write_bytes(marker)
    async with open_edge(fast_folder) as store:
        with pytest.raises(CorruptDataError, match="sfm rebuild"):
            await store.ensure(COLLECTION)


async def test_a_missing_engine_is_named(
    fast_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(name: str) -> None:
        assert name == "qdrant_edge"

    monkeypatch.setattr(_edge, "find_spec", nothing)
    with pytest.raises(ConfigurationError, match=r"\[edge\]"):
        async with open_edge(fast_folder):
            pass


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("missing", ConfigurationError),
        ("full", StorageFullError),
        ("read-only", ReadOnlyStorageError),
        ("failed", BackendError),
    ],
)
def test_what_the_worker_says_becomes_our_error(kind: str, expected: type[Exception]) -> None:
    settings = parse_url("qdrant+edge:", Path("/data"), {})
    with pytest.raises(expected, match="/data/qdrant"), translated(settings):
        raise WorkerRefusedError(Problem(kind, "why"))


def test_a_condition_that_the_worker_does_not_know_is_not_passed_over() -> None:
    empty = models.IsEmptyCondition(is_empty=models.PayloadField(key="a"))
    said = models.Filter(must=[empty]).model_dump(exclude_none=True)
    with pytest.raises(msgspec.ValidationError, match="is_empty"):
        msgspec.convert(said, Condition)
