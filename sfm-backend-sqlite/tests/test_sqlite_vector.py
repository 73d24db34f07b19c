"""Points in a file and the index that follows them: what the kit cannot know."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlite_helpers import COLLECTION, clustered, normalized, open_vector, points, settled

from sfm_backend_sqlite.vector import SqliteVectorStore
from sfm_core.errors import CorruptDataError
from sfm_core.model.filters import Filter, parse_filter
from sfm_core.model.memory import MemoryType
from sfm_core.protocols.vector import Collection, Point, SearchResult, VectorQuery

COUNT = 20_000


async def nearest(
    store: SqliteVectorStore,
    vector: NDArray[np.float32],
    *,
    limit: int = 10,
    namespace: str = "n",
) -> set[float]:
    [result] = await store.search(
        COLLECTION, [VectorQuery(namespace=namespace, limit=limit, vector=vector)]
    )
    return numbers(result)


def numbers(result: SearchResult) -> set[float]:
    return {hit.coordinate.components[0] for hit in result.hits}


async def recall(
    store: SqliteVectorStore,
    vectors: NDArray[np.float32],
    allowed: Sequence[int],
    *,
    condition: Filter | None = None,
    kind: MemoryType | None = None,
) -> float:
    """Return which part of the exact ten nearest is found, one query at a time and in a batch."""
    asked = clustered(50, seed=9)
    queries = [
        VectorQuery(namespace="n", limit=10, vector=vector, filter=condition, type=kind)
        for vector in asked
    ]
    alone = [(await store.search(COLLECTION, [query]))[0] for query in queries]
    together = await store.search(COLLECTION, queries)
    rows = np.array(allowed)
    best = [set(rows[np.argsort(-(vectors[rows] @ vector))[:10]].tolist()) for vector in asked]
    found = [
        len(numbers(result) & exact) / len(exact)
        for result, exact in zip([*alone, *together], [*best, *best], strict=True)
    ]
    return sum(found) / len(found)


async def test_large_namespaces_keep_their_recall_through_filters_and_deletions(
    tmp_path: Path,
) -> None:
    vectors = clustered(COUNT, seed=1)
    everything = range(COUNT)
    half, third, hundredth = (
        parse_filter({"n": {"$lt": COUNT // 2}}),
        parse_filter({"third": 1}),
        parse_filter({"hundredth": 7}),
    )
    async with open_vector(tmp_path) as store:
        await store.ensure(COLLECTION)
        await store.upsert(COLLECTION, points(vectors[:10_000]))
        await store.upsert(COLLECTION, points(vectors[10_000:], first=10_000))
        await store.upsert(COLLECTION, points(clustered(500, seed=5), namespace="other"))
        await settled(store)
        assert await recall(store, vectors, everything) >= 0.95
        assert await recall(store, vectors, everything[: COUNT // 2], condition=half) >= 0.95
        assert await recall(store, vectors, everything[1::3], condition=third) >= 0.95
        assert await recall(store, vectors, everything[7::100], condition=hundredth) == 1.0
        assert await recall(store, vectors, everything[::2], kind=MemoryType.SEMANTIC) >= 0.95
        written = points(vectors)
        gone = [point.id for number, point in enumerate(written) if number % 4 in {0, 3}]
        await store.delete(COLLECTION, gone)
        kept = [number for number in everything if number % 4 in {1, 2}]
        assert await recall(store, vectors, kept) >= 0.95
        await settled(store)
        assert await recall(store, vectors, kept) >= 0.95
        await store.upsert(COLLECTION, [written[number] for number in kept[:2_000]])
        await settled(store)
        assert store.resident_points == len(kept)
        assert await recall(store, vectors, kept) >= 0.95
        kept_third = [number for number in kept if number % 3 == 1]
        assert await recall(store, vectors, kept_third, condition=third) >= 0.95


@pytest.mark.smoke
async def test_a_new_point_is_found_beside_a_graph_that_lacks_it(tmp_path: Path) -> None:
    vectors = clustered(1_000, seed=1)
    async with open_vector(tmp_path, approximate_from=500) as store:
        await store.ensure(COLLECTION)
        await store.upsert(COLLECTION, points(vectors))
        await settled(store)
        fresh = clustered(1, seed=77)
        await store.upsert(COLLECTION, points(fresh, first=5_000))
        assert 5_000.0 in await nearest(store, fresh[0])
        await store.delete(COLLECTION, [points(fresh, first=5_000)[0].id])
        assert 5_000.0 not in await nearest(store, fresh[0])


async def test_vectors_without_structure_are_searched_exactly_where_the_graph_fails(
    tmp_path: Path,
) -> None:
    source = np.random.default_rng(3)
    vectors = normalized(source.standard_normal((6_000, COLLECTION.dimension)))
    async with open_vector(tmp_path, approximate_from=500) as store:
        await store.ensure(COLLECTION)
        await store.upsert(COLLECTION, points(vectors))
        await settled(store)
        assert await recall(store, vectors, range(len(vectors))) >= 0.95


async def test_another_process_is_followed_through_replacement_and_deletion(
    tmp_path: Path,
) -> None:
    vectors = clustered(200, seed=1)
    async with open_vector(tmp_path) as one, open_vector(tmp_path) as other:
        await one.ensure(COLLECTION)
        source = random.Random(4)
        alive: set[float] = set()
        for _ in range(40):
            writer = source.choice([one, other])
            number = source.randrange(200)
            [point] = points(vectors[number][None], first=number)
            if source.random() < 0.3:
                await writer.delete(COLLECTION, [point.id])
                alive.discard(float(number))
            else:
                await writer.upsert(COLLECTION, [point])
                alive.add(float(number))
            for reader in (one, other):
                assert await nearest(reader, vectors[0], limit=500) == alive


async def test_a_collection_made_anew_by_another_process_starts_empty(tmp_path: Path) -> None:
    vectors = clustered(3, seed=1)
    async with open_vector(tmp_path) as one, open_vector(tmp_path) as other:
        await one.ensure(COLLECTION)
        await one.upsert(COLLECTION, points(vectors))
        assert len(await nearest(one, vectors[0])) == 3
        await other.drop(COLLECTION)
        await other.ensure(COLLECTION)
        await other.upsert(COLLECTION, points(vectors[:1], first=9))
        assert await nearest(one, vectors[0]) == {9.0}


async def test_old_tombstones_are_removed_and_followers_behind_start_anew(
    tmp_path: Path,
) -> None:
    vectors = clustered(50, seed=1)
    many = np.repeat(vectors[:1], 10_000, axis=0)
    async with open_vector(tmp_path) as one, open_vector(tmp_path) as other:
        await one.ensure(COLLECTION)
        await one.upsert(COLLECTION, points(vectors))
        for first in (1_000, 11_000, 21_000):
            await one.upsert(COLLECTION, points(many, first=first))
        assert len(await nearest(other, vectors[0], limit=50_000)) == 30_050
        for first in (1_000, 11_000, 21_000):
            await one.delete(COLLECTION, [point.id for point in points(many, first=first)])
        await one.maintain()
        assert tombstones(tmp_path) == 10_000
        assert len(await nearest(other, vectors[0], limit=50_000)) == 50


def tombstones(folder: Path) -> int:
    raw = sqlite3.connect(folder / "sfm.db")
    (count,) = raw.execute("SELECT count(*) FROM point WHERE vector IS NULL").fetchone()
    raw.close()
    return int(count)


async def test_points_of_a_dropped_collection_leave_the_file(tmp_path: Path) -> None:
    other = Collection(name="other", dimension=COLLECTION.dimension)
    async with open_vector(tmp_path) as store:
        for collection in (COLLECTION, other):
            await store.ensure(collection)
            await store.upsert(collection, points(clustered(1500, seed=1)))
        await store.drop(COLLECTION)
    raw = sqlite3.connect(tmp_path / "sfm.db")
    assert raw.execute("SELECT count(*) FROM point").fetchone() == (1500,)
    assert raw.execute("SELECT count(*) FROM dropped").fetchone() == (0,)
    raw.close()


async def test_a_damaged_point_is_reported_and_never_missing(tmp_path: Path) -> None:
    vectors = clustered(3, seed=1)
    async with open_vector(tmp_path) as store:
        await store.ensure(COLLECTION)
        await store.upsert(COLLECTION, points(vectors))
        raw = sqlite3.connect(tmp_path / "sfm.db")
        raw.execute("UPDATE point SET vector = x'00' WHERE change = 2")
        raw.commit()
        raw.close()
        for _ in range(2):
            with pytest.raises(CorruptDataError, match="rebuild"):
                await nearest(store, vectors[0])
        await store.upsert(COLLECTION, points(vectors))
        assert len(await nearest(store, vectors[0])) == 3


async def test_searches_while_writing_find_what_was_written_before(tmp_path: Path) -> None:
    vectors = clustered(600, seed=1)
    async with open_vector(tmp_path, approximate_from=100) as store:
        await store.ensure(COLLECTION)

        async def write_and_search(start: int) -> None:
            for number in range(start, 600, 6):
                await store.upsert(COLLECTION, points(vectors[number][None], first=number))
                assert float(number) in await nearest(store, vectors[number])

        await asyncio.gather(*(write_and_search(start) for start in range(6)))


async def test_namespaces_beyond_what_may_be_resident_still_answer(tmp_path: Path) -> None:
    async with open_vector(tmp_path, resident_points=25) as store:
        await store.ensure(COLLECTION)
        written: dict[str, list[Point]] = {
            f"n{number}": points(clustered(10, seed=number), namespace=f"n{number}")
            for number in range(6)
        }
        for several in written.values():
            await store.upsert(COLLECTION, several)
        for namespace in [*written, *written]:
            query = VectorQuery(namespace=namespace, limit=20, vector=written[namespace][0].vector)
            [result] = await store.search(COLLECTION, [query])
            assert numbers(result) == set(map(float, range(10)))
            assert store.resident_points <= 25


async def test_a_namespace_that_grows_makes_others_let_go(tmp_path: Path) -> None:
    async with open_vector(tmp_path, resident_points=100) as store:
        await store.ensure(COLLECTION)
        vectors = clustered(90, seed=1)
        for namespace in ("quiet", "busy"):
            await store.upsert(COLLECTION, points(vectors[:10], namespace=namespace))
            await nearest(store, vectors[0], namespace=namespace)
        for start in range(10, 90, 10):
            some = points(vectors[start : start + 10], namespace="busy", first=start)
            await store.upsert(COLLECTION, some)
            await nearest(store, vectors[0], namespace="busy")

        assert store.resident_points == 90
        assert store.resident_namespaces == 1


async def test_namespaces_that_nobody_wrote_to_take_bounded_memory(tmp_path: Path) -> None:
    async with open_vector(tmp_path, resident_points=100) as store:
        await store.ensure(COLLECTION)
        [vector] = clustered(1, seed=1)
        for number in range(100):
            assert await nearest(store, vector, namespace=f"n{number}") == set()

        assert store.resident_namespaces <= 12


@pytest.mark.smoke
async def test_keyword_hits_come_with_their_dense_score(tmp_path: Path) -> None:
    vectors = clustered(40, seed=1)
    async with open_vector(tmp_path) as store:
        await store.ensure(COLLECTION)
        await store.upsert(COLLECTION, points(vectors))
        [result] = await store.search(
            COLLECTION,
            [VectorQuery(namespace="n", limit=1, vector=vectors[0], terms={"t39": 1.0})],
        )
    scores = {hit.coordinate.components[0]: hit for hit in result.hits}
    assert set(scores) == {0.0, 39.0}
    assert scores[39.0].dense == pytest.approx(float(vectors[39] @ vectors[0]), abs=1e-5)
    assert scores[0.0].keyword == 0.0
