"""Scrubbing leaves no byte of what was removed, in the file and in what was made from it."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sqlite_helpers import COLLECTION, clustered, open_kv, open_vector, points, settled

from sfm_backend_sqlite.vector import SqliteVectorStore
from sfm_core.errors import BackendUnavailableError
from sfm_core.protocols.kv import Commit, Entry, Write
from sfm_core.protocols.vector import VectorQuery

COUNT = 600
VECTORS = clustered(COUNT, seed=1)
LEASE = timedelta(seconds=1)
SECRET = points(VECTORS)[5]
TRACES = (VECTORS[5].tobytes(), b'"t5"', b'"n":5,')


def make(folder: Path) -> SqliteVectorStore:
    return open_vector(folder, approximate_from=200, snapshot_from=100)


def traces_in(folder: Path) -> list[tuple[str, bytes]]:
    return [
        (path.name, trace)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for trace in TRACES
        if trace in path.read_bytes()
    ]


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def fill(store: SqliteVectorStore) -> None:
    await store.ensure(COLLECTION)
    await store.upsert(COLLECTION, points(VECTORS))
    await settled(store)


async def test_a_removed_point_is_gone_from_file_snapshot_and_index(tmp_path: Path) -> None:
    async with make(tmp_path) as store:
        await fill(store)
        await store.maintain()
        assert [*(tmp_path / "index").iterdir()]
        assert traces_in(tmp_path)
        await store.delete(COLLECTION, [SECRET.id])
        assert await store.scrub({"n": [SECRET.id.coordinate]}) == ""
        assert traces_in(tmp_path) == []
        query = VectorQuery(namespace="n", limit=3, vector=VECTORS[5])
        [answer] = await store.search(COLLECTION, [query])
        assert len(answer.hits) == 3
        await settled(store)
    assert traces_in(tmp_path) == []


async def test_no_other_process_brings_it_back_with_a_snapshot(tmp_path: Path) -> None:
    async with make(tmp_path) as store:
        await store.ensure(COLLECTION)
        async with make(tmp_path) as other:
            await store.upsert(COLLECTION, points(VECTORS))
            await settled(other)
            await store.delete(COLLECTION, [SECRET.id])
            await store.scrub({"n": [SECRET.id.coordinate]})
        # It had loaded the point, and would have written what it had when it was closed.
        assert traces_in(tmp_path) == []


async def test_what_a_killed_process_had_begun_to_write_is_gone(tmp_path: Path) -> None:
    async with make(tmp_path) as store:
        await fill(store)
    [snapshot] = (tmp_path / "index").iterdir()
    whole = snapshot.read_bytes()
    # As it is before it takes its name, and when less than that was written.
    snapshot.rename(snapshot.with_name(f"{snapshot.stem}abcdefgh.new"))
    snapshot.with_name(f"{snapshot.stem}ijklmnop.new").write_bytes(whole[:40] + whole[-40:])
    async with make(tmp_path) as store:
        await store.delete(COLLECTION, [SECRET.id])
        assert await store.scrub({"n": [SECRET.id.coordinate]}) == ""
        assert [*(tmp_path / "index").iterdir()] == []
    assert traces_in(tmp_path) == []


async def test_what_others_have_begun_to_write_of_a_like_number_stays(tmp_path: Path) -> None:
    async with make(tmp_path) as store:
        await store.ensure(COLLECTION)
        for number in range(1, 12):
            vectors = VECTORS if number == 11 else VECTORS[:10]
            await store.upsert(COLLECTION, points(vectors, namespace=f"n{number}"))
        query = VectorQuery(namespace="n11", limit=3, vector=VECTORS[5])
        await store.search(COLLECTION, [query])
    [snapshot] = (tmp_path / "index").iterdir()
    begun = snapshot.rename(snapshot.with_name(f"{snapshot.stem}abcdefgh.new"))
    async with make(tmp_path) as store:
        await store.scrub({"n1": [SECRET.id.coordinate]})
    assert begun.exists()


async def test_the_snapshot_of_a_dropped_collection_that_was_written_late_is_gone(
    tmp_path: Path,
) -> None:
    async with make(tmp_path) as store:
        await fill(store)
    [snapshot] = (tmp_path / "index").iterdir()
    late = snapshot.read_bytes()
    async with make(tmp_path) as store:
        await store.drop(COLLECTION)
        snapshot.write_bytes(late)
        await store.ensure(COLLECTION)
        await store.scrub({"n": [SECRET.id.coordinate]})
    assert traces_in(tmp_path) == []


async def test_other_namespaces_are_left_as_they_are(tmp_path: Path) -> None:
    async with make(tmp_path) as store:
        await fill(store)
        await store.upsert(COLLECTION, points(VECTORS, namespace="m"))
        await store.scrub({"n": [SECRET.id.coordinate]})
        query = VectorQuery(namespace="m", limit=3, vector=VECTORS[5])
        [answer] = await store.search(COLLECTION, [query])
        assert len(answer.hits) == 3


async def test_replaced_values_are_gone_and_present_ones_are_not(tmp_path: Path) -> None:
    async with open_kv(tmp_path) as store:
        for version in range(1, 40):
            text = b"word-%d " % version * 2_000
            commit = Commit(namespace="n", writes=(Write(b"k", text, version),))
            await store.commit([commit], owner="o", lease=LEASE)
        await store.scrub({"n": []})
        raw = all_bytes(tmp_path)
        assert [n for n in range(1, 40) if b"word-%d " % n in raw] == [39]
        assert await store.get_many("n", [b"k"]) == [Entry(b"word-39 " * 2_000, 39)]


async def test_a_reader_that_stays_in_the_log_is_told_of(tmp_path: Path) -> None:
    async with open_kv(tmp_path, url="sqlite:?lock_timeout_seconds=0") as store:
        commit = Commit(namespace="n", writes=(Write(b"k", b"v", 1),))
        await store.commit([commit], owner="o", lease=LEASE)
        reader = sqlite3.connect(tmp_path / "sfm.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM entry").fetchall()
        with pytest.raises(BackendUnavailableError):
            await store.scrub({"n": []})
        reader.execute("COMMIT")
        reader.close()
        assert await store.scrub({"n": []}) == ""


async def test_a_snapshot_that_cannot_be_removed_is_told_of(tmp_path: Path) -> None:
    async with make(tmp_path) as store:
        await fill(store)
    [snapshot] = (tmp_path / "index").iterdir()
    snapshot.unlink()
    snapshot.mkdir()
    async with make(tmp_path) as store:
        await store.delete(COLLECTION, [SECRET.id])
        with pytest.raises(BackendUnavailableError, match="snapshot"):
            await store.scrub({"n": [SECRET.id.coordinate]})
        snapshot.rmdir()
        assert await store.scrub({"n": [SECRET.id.coordinate]}) == ""
    assert traces_in(tmp_path) == []
