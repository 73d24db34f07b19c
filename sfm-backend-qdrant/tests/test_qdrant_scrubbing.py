"""After scrubbing, no file has anything of points that were removed or replaced."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio
from fix_qdrant import Server
from qdrant_helpers import (
    COLLECTION,
    WatchedEdgeStore,
    numbered,
    open_edge,
    open_local,
    written_in,
)

from sfm_backend_qdrant.plugin import create_vector
from sfm_backend_qdrant.vector import QdrantVectorStore
from sfm_core.errors import BackendError
from sfm_core.protocols.vector import Collection, Point, VectorQuery
from sfm_core.testing.samples import axis, coordinate, point

WORD, OLD = "xylocarpous", "quomodocunquize"
OTHER = Collection(name="other", dimension=8)
SECRET = replace(
    point("n", coordinate(3.0), np.array([0.6, 0.8, 0, 0, 0, 0, 0, 0], dtype=np.float32)),
    payload={"text": WORD, "same": f"{WORD}-again"},
    terms={"xylo": 1, "carp": 2},
)
VERSIONS = (replace(SECRET, payload={"text": OLD}), SECRET)


def files_with(folder: Path, *words: str) -> list[str]:
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(word.encode() in written_in(path) for word in words)
    ]


async def fill(store: QdrantVectorStore, *collections: Collection) -> None:
    for collection in collections:
        await store.ensure(collection)
        await store.upsert(collection, numbered(0, 30))
        for secret in VERSIONS:
            await store.upsert(collection, [secret])


async def found(store: QdrantVectorStore, wanted: Point) -> list[float]:
    query = VectorQuery(namespace="n", limit=30, vector=wanted.vector, terms=wanted.terms)
    [answer] = await store.search(COLLECTION, [query])
    return sorted(hit.coordinate.components[0] for hit in answer.hits)


async def copying(store: WatchedEdgeStore) -> psutil.Process:
    """Wait until a copy is at work, and return the process that works on it."""
    worker = psutil.Process(store.worker)
    # Nobody tells when it begins.
    while not (children := worker.children()):  # noqa: ASYNC110
        await asyncio.sleep(0)
    return children[0]


@pytest_asyncio.fixture
async def edge(fast_folder: Path) -> AsyncIterator[WatchedEdgeStore]:
    async with open_edge(fast_folder) as store:
        await fill(store, COLLECTION)
        yield store


@pytest.mark.parametrize("opened", [open_edge, open_local])
async def test_a_removed_point_is_gone_from_every_collection(
    opened: Callable[[Path], QdrantVectorStore], fast_folder: Path
) -> None:
    async with opened(fast_folder) as store:
        await fill(store, COLLECTION, OTHER)
        assert files_with(fast_folder, WORD)
        for collection in (COLLECTION, OTHER):
            await store.delete(collection, [SECRET.id])
        assert await store.scrub({"n": [SECRET.id.coordinate]}) == ""
        assert files_with(fast_folder, WORD, OLD) == []
        others = [float(number) for number in range(30) if number != 3]
        assert await found(store, numbered(0, 1)[0]) == others
    assert files_with(fast_folder, WORD, OLD) == []


async def test_what_a_point_was_before_is_gone_and_what_it_is_stays(
    edge: WatchedEdgeStore, fast_folder: Path
) -> None:
    assert files_with(fast_folder, OLD)
    await edge.scrub({"n": []})
    assert files_with(fast_folder, OLD) == []
    assert files_with(fast_folder, WORD)
    assert await found(edge, SECRET) == [float(number) for number in range(30)]


@pytest.mark.long
async def test_points_are_written_while_their_collection_is_written_anew(
    edge: WatchedEdgeStore, fast_folder: Path
) -> None:
    await edge.delete(COLLECTION, [SECRET.id])
    scrubbing = asyncio.create_task(edge.scrub({"n": []}))
    written = 30
    while not scrubbing.done():
        await edge.upsert(COLLECTION, numbered(written, 1))
        written += 1
    assert await scrubbing == ""
    states = await edge.scroll(COLLECTION, "n", after=None, limit=10_000)
    numbers = {int(state.id.coordinate.components[0]) for state in states}
    assert numbers == set(range(written)) - {3}
    assert files_with(fast_folder, WORD, OLD) == []


@pytest.mark.long
async def test_one_whose_worker_dies_says_so_and_the_next_one_does_it(
    edge: WatchedEdgeStore, fast_folder: Path
) -> None:
    await edge.delete(COLLECTION, [SECRET.id])
    scrubbing = asyncio.create_task(edge.scrub({"n": []}))
    await copying(edge)
    os.kill(edge.worker, signal.SIGKILL)
    with pytest.raises(BackendError):
        await scrubbing
    assert await edge.scrub({"n": []}) == ""
    assert files_with(fast_folder, WORD, OLD) == []
    assert len(await edge.scroll(COLLECTION, "n", after=None, limit=100)) == 29


async def test_one_whose_copy_fails_says_so_and_costs_no_point(
    edge: WatchedEdgeStore, fast_folder: Path
) -> None:
    scrubbing = asyncio.create_task(edge.scrub({"n": []}))
    (await copying(edge)).kill()
    with pytest.raises(BackendError, match="written anew"):
        await scrubbing
    assert len(await edge.scroll(COLLECTION, "n", after=None, limit=100)) == 30
    assert files_with(fast_folder, WORD)


async def test_what_was_extended_meanwhile_does_not_bring_it_back(fast_folder: Path) -> None:
    """A copy that is being extended still has what was removed since it was taken."""
    async with open_edge(fast_folder, scan_kilobytes=10, step_kilobytes=10) as store:
        await fill(store, COLLECTION)
        worker = psutil.Process(store.worker)
        number = 30
        while not worker.children():
            await store.upsert(COLLECTION, numbered(number, 50))
            number += 50
        await store.delete(COLLECTION, [SECRET.id])
        await store.scrub({"n": []})
        assert files_with(fast_folder, WORD, OLD) == []
        assert len(await store.scroll(COLLECTION, "n", after=None, limit=10_000)) == number - 1
        await store.upsert(COLLECTION, [point("n", coordinate(-1.0), axis(0, 8))])


async def test_a_server_says_what_stays(qdrant_server: Server) -> None:
    async with create_vector(qdrant_server.url(), qdrant_server.context) as store:
        assert "optimises" in await store.scrub({"n": []})
