"""Snapshots of the index: used where they are right, ignored where they are not."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlite_helpers import COLLECTION, clustered, open_vector, points, settled

from sfm_backend_sqlite.vector import SqliteVectorStore
from sfm_core.model.filters import parse_filter
from sfm_core.protocols.vector import SearchResult, VectorQuery

COUNT = 1_200
VECTORS = clustered(COUNT, seed=1)


def make(folder: Path) -> SqliteVectorStore:
    return open_vector(folder, approximate_from=500, snapshot_from=100)


async def fill(folder: Path) -> None:
    """Write points with some gaps, and close with a snapshot."""
    async with make(folder) as store:
        await store.ensure(COLLECTION)
        await store.upsert(COLLECTION, points(VECTORS))
        await store.delete(COLLECTION, [point.id for point in points(VECTORS)[::10]])
        await settled(store)
    assert len(list((folder / "index").iterdir())) == 1


async def answers(store: SqliteVectorStore) -> list[SearchResult]:
    queries = [
        VectorQuery(
            namespace="n",
            limit=20,
            vector=vector,
            terms={f"t{number}": 1.0, "common": 0.1},
            filter=parse_filter({"third": 1}) if number % 2 else None,
        )
        for number, vector in enumerate(clustered(10, seed=3))
    ]
    return await store.search(COLLECTION, queries)


def same(one: list[SearchResult], other: list[SearchResult]) -> bool:
    """Compare answers; ties among equal keyword scores may fall either way."""
    return all(
        {(hit.coordinate, hit.version) for hit in mine.hits if hit.dense and hit.dense > 0.5}
        == {(hit.coordinate, hit.version) for hit in theirs.hits if hit.dense and hit.dense > 0.5}
        for mine, theirs in zip(one, other, strict=True)
    )


async def from_rows(folder: Path, tmp_path: Path) -> list[SearchResult]:
    """Answer from a copy of the file that has no snapshot."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("index"))
    async with make(copy) as store:
        return await answers(store)


async def test_a_start_from_a_snapshot_answers_like_one_from_the_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data"
    await fill(folder)
    expected = await from_rows(folder, tmp_path)
    with caplog.at_level(logging.INFO, "sfm_backend_sqlite"):
        async with make(folder) as store:
            assert same(await answers(store), expected)
            await settled(store)
            assert same(await answers(store), expected)
    assert not caplog.records


async def test_what_happened_after_a_snapshot_is_caught_up_with(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    await fill(folder)
    snapshot = next((folder / "index").iterdir())
    content = snapshot.read_bytes()
    async with make(folder) as store:
        await store.delete(COLLECTION, [point.id for point in points(VECTORS)[1::10]])
        await store.upsert(COLLECTION, points(VECTORS[:300], version=2))
        await store.upsert(COLLECTION, points(clustered(50, seed=8), first=COUNT))
        await answers(store)
    snapshot.write_bytes(content)
    expected = await from_rows(folder, tmp_path)
    async with make(folder) as store:
        assert same(await answers(store), expected)


def damage(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def cut(length: int | None) -> Callable[[bytes], bytes]:
    return lambda content: content[:length]


@pytest.mark.parametrize(
    "spoil",
    [damage, cut(0), cut(5), cut(40), cut(-7)],
    ids=["flipped bit", "empty", "no header", "half a header", "cut"],
)
async def test_a_damaged_snapshot_is_ignored_with_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[bytes], bytes]
) -> None:
    folder = tmp_path / "data"
    await fill(folder)
    expected = await from_rows(folder, tmp_path)
    snapshot = next((folder / "index").iterdir())
    snapshot.write_bytes(spoil(snapshot.read_bytes()))
    with caplog.at_level(logging.WARNING, "sfm_backend_sqlite"):
        async with make(folder) as store:
            assert same(await answers(store), expected)
    assert "Ignored the snapshot" in caplog.text


async def test_a_snapshot_ahead_of_a_restored_file_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, backup = tmp_path / "data", tmp_path / "backup"
    async with make(folder) as store:
        await store.ensure(COLLECTION)
        await store.upsert(COLLECTION, points(VECTORS[:600]))
    shutil.copytree(folder, backup)
    async with make(folder) as store:
        await store.upsert(COLLECTION, points(VECTORS[600:], first=600))
        await answers(store)
    shutil.copytree(folder / "index", backup / "index", dirs_exist_ok=True)
    expected = await from_rows(backup, tmp_path)
    with caplog.at_level(logging.INFO, "sfm_backend_sqlite"):
        async with make(backup) as store:
            assert same(await answers(store), expected)
    assert "ahead of the file" in caplog.text


async def test_a_snapshot_that_lacks_points_of_the_file_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, backup = tmp_path / "data", tmp_path / "backup"
    await fill(folder)
    shutil.copytree(folder, backup)
    async with make(folder) as store:
        await store.delete(COLLECTION, [point.id for point in points(VECTORS)[:700]])
        await answers(store)
    async with make(backup) as store:
        await store.upsert(COLLECTION, points(np.roll(VECTORS, 1, axis=0)))
        await answers(store)
    for file in (backup / "index").iterdir():
        shutil.copy(folder / "index" / file.name, file)
    expected = await from_rows(backup, tmp_path)
    with caplog.at_level(logging.INFO, "sfm_backend_sqlite"):
        async with make(backup) as store:
            assert same(await answers(store), expected)


async def test_a_folder_that_takes_no_snapshot_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "index").write_text("in the way")
    async with make(folder) as store:
        await store.ensure(COLLECTION)
        await store.upsert(COLLECTION, points(VECTORS))
        await answers(store)
        await store.maintain()
    assert "Could not write the snapshot" in caplog.text


async def test_dropping_a_collection_removes_its_snapshots(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    await fill(folder)
    async with make(folder) as store:
        await store.upsert(COLLECTION, points(VECTORS, version=2))
        await answers(store)
        await store.drop(COLLECTION)
    assert list((folder / "index").iterdir()) == []


async def test_what_a_killed_process_left_of_a_snapshot_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    await fill(folder)
    snapshot = next((folder / "index").iterdir())
    old, young = (snapshot.with_name(f"{snapshot.stem}{name}.new") for name in ("old", "young"))
    for left in (old, young):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    async with make(folder) as store:
        await store.upsert(COLLECTION, points(VECTORS))
        await answers(store)
    assert young.exists()
    assert not old.exists()
