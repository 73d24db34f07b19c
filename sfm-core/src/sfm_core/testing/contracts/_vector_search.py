"""Contract of the vector port: the two arms of a search."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import parse_filter
from sfm_core.model.memory import MemoryType
from sfm_core.protocols.vector import Collection, VectorQuery, VectorStore
from sfm_core.testing.contracts._vector_base import (
    COMMON,
    DIMENSION,
    VectorTests,
    by_vector,
    by_words,
    dense,
    ids,
    keyword,
    numbered,
    places,
    search,
)
from sfm_core.testing.samples import HOSTILE_TERMS, axis, coordinate, point, unit_vectors

_X = axis(0, DIMENSION)
_RECALL = 0.95


class SearchTests(VectorTests):
    """`search`: by vector, by words, and by both."""

    async def test_the_dense_score_is_the_cosine(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """1 for the same direction, 0 for a right angle, -1 for the opposite one."""
        vectors = np.stack([_X, axis(1, DIMENSION), -_X])
        await store.upsert(collection, numbered(namespace, vectors))
        hits = by_vector(await search(store, collection, namespace, vector=_X))
        assert places(hits) == [coordinate(n) for n in (0.0, 1.0, 2.0)]
        assert [dense(hit) for hit in hits] == pytest.approx([1.0, 0.0, -1.0], abs=0.02)

    async def test_dense_search_finds_what_comparing_all_finds(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """In nearly every case; approximation is allowed, disorder is not."""
        vectors = unit_vectors(600, DIMENSION)
        await store.upsert(collection, numbered(namespace, vectors))
        alive = np.ones(600, dtype=np.bool_)
        assert await _recall(store, collection, namespace, vectors, alive) >= _RECALL

    async def test_dense_search_stays_as_good_after_deletions_and_replacements(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """What is gone takes no place in the answer."""
        vectors = unit_vectors(600, DIMENSION)
        points = numbered(namespace, vectors)
        await store.upsert(collection, points)
        await store.delete(collection, ids(points[::2]))
        vectors[1::4] = unit_vectors(150, DIMENSION, seed=7)
        await store.upsert(collection, numbered(namespace, vectors)[1::4])
        alive = np.arange(600) % 2 == 1
        assert await _recall(store, collection, namespace, vectors, alive) >= _RECALL

    async def test_only_points_with_a_common_term_are_hits_of_the_keyword_arm(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """However few others there are."""
        await _write(store, collection, namespace, {1.0: {"cat": 1.0}, 2.0: {"dog": 1.0}, 3.0: {}})
        result = await search(store, collection, namespace, terms={"cat": 1.0, "cow": 1.0})
        assert places(result.hits) == [coordinate(1.0)]

    async def test_a_term_that_every_point_has_still_finds_them(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Keyword scores are above 0, however common the term."""
        await _write(store, collection, namespace, {float(n): COMMON for n in range(5)})
        hits = by_words(await search(store, collection, namespace, terms=COMMON))
        assert len(hits) == 5
        assert all(keyword(hit) > 0.0 for hit in hits)

    async def test_a_rarer_term_counts_more(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Of two points with one matching term each."""
        terms = {float(n): {"often": 1.0} for n in range(8)} | {9.0: {"seldom": 1.0}}
        await _write(store, collection, namespace, terms)
        hits = by_words(
            await search(store, collection, namespace, terms={"often": 1.0, "seldom": 1.0})
        )
        assert hits[0].coordinate == coordinate(9.0)
        assert keyword(hits[0]) > keyword(hits[1])

    async def test_more_matching_terms_count_more(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Of two points of the same length."""
        await _write(
            store,
            collection,
            namespace,
            {1.0: {"a": 1.0, "x": 1.0}, 2.0: {"a": 1.0, "b": 1.0}, 3.0: {"b": 1.0, "x": 1.0}},
        )
        hits = by_words(await search(store, collection, namespace, terms={"a": 1.0, "b": 1.0}))
        assert hits[0].coordinate == coordinate(2.0)

    async def test_a_higher_frequency_counts_more(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Frequencies are weights, so half of one is less than one."""
        terms = {n: {"a": n, "pad": 5.0 - n} for n in (0.5, 1.0, 3.0)}
        await _write(store, collection, namespace, terms)
        hits = by_words(await search(store, collection, namespace, terms={"a": 1.0}))
        assert places(hits) == [coordinate(n) for n in (3.0, 1.0, 0.5)]

    async def test_half_a_frequency_counts_less(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Frequencies are not rounded: a text may say a word by the way."""
        terms = {1.0: {"a": 1.0, "pad": 0.5}, 2.0: {"a": 0.5, "pad": 1.0}}
        await _write(store, collection, namespace, terms)
        hits = by_words(await search(store, collection, namespace, terms={"a": 1.0}))
        assert places(hits) == [coordinate(1.0), coordinate(2.0)]
        assert keyword(hits[0]) > keyword(hits[1])

    async def test_a_shorter_text_counts_more(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """The same word says more in a short text."""
        long = {"a": 1.0} | {f"pad{n}": 1.0 for n in range(30)}
        await _write(store, collection, namespace, {1.0: long, 2.0: {"a": 1.0}})
        hits = by_words(await search(store, collection, namespace, terms={"a": 1.0}))
        assert places(hits) == [coordinate(2.0), coordinate(1.0)]

    async def test_the_weight_of_a_query_term_counts(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """The caller says which of its words matter."""
        await _write(store, collection, namespace, {1.0: {"a": 1.0}, 2.0: {"b": 1.0}})
        for terms, best in (({"a": 2.0, "b": 0.5}, 1.0), ({"a": 0.5, "b": 2.0}, 2.0)):
            hits = by_words(await search(store, collection, namespace, terms=terms))
            assert hits[0].coordinate == coordinate(best)

    @pytest.mark.parametrize("term", HOSTILE_TERMS)
    async def test_terms_are_compared_for_equality_only(
        self, store: VectorStore, collection: Collection, namespace: str, term: str
    ) -> None:
        """No query language, no case folding, no stemming: the core has analysed the text."""
        terms = {float(row): {other: 1.0} for row, other in enumerate(HOSTILE_TERMS)}
        await _write(store, collection, namespace, terms)
        result = await search(store, collection, namespace, terms={term: 1.0})
        assert places(result.hits) == [coordinate(float(HOSTILE_TERMS.index(term)))]

    async def test_an_arm_that_is_not_asked_for_is_left_out(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Its scores are `None`, and neither question finds nothing at all."""
        await store.upsert(collection, numbered(namespace, unit_vectors(3, DIMENSION)))
        words = await search(store, collection, namespace, terms=COMMON)
        assert [hit.dense for hit in words.hits] == [None] * 3
        nothings: tuple[dict[str, float] | None, ...] = (None, {})
        for nothing in nothings:
            vector = await search(store, collection, namespace, vector=_X, terms=nothing)
            assert [hit.keyword for hit in vector.hits] == [None] * 3
            assert (await search(store, collection, namespace, terms=nothing)).hits == ()

    async def test_a_hit_of_one_arm_has_its_score_in_the_other(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Or `None` where the store says that it cannot tell, but never a wrong score."""
        near = point(namespace, coordinate(1.0), _X, terms={"other": 1.0})
        said = point(namespace, coordinate(2.0), axis(1, DIMENSION), terms={"word": 1.0})
        both = point(namespace, coordinate(3.0), -_X, terms={"word": 1.0, "more": 5.0})
        await store.upsert(collection, [near, said, both])
        result = await search(store, collection, namespace, vector=_X, terms={"word": 1.0}, limit=1)
        hits = {hit.coordinate: hit for hit in result.hits}
        assert hits.keys() == {near.id.coordinate, said.id.coordinate}
        cross = (hits[near.id.coordinate].keyword, hits[said.id.coordinate].dense)
        if self.scores_both_arms:
            assert cross == pytest.approx((0.0, 0.0), abs=0.02)
        else:
            assert all(score is None or abs(score) < 0.02 for score in cross)

    async def test_no_memory_is_a_hit_twice(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """What both arms find is one hit."""
        await store.upsert(collection, numbered(namespace, unit_vectors(20, DIMENSION)))
        result = await search(store, collection, namespace, vector=_X, terms=COMMON)
        assert len(places(result.hits)) == len(set(places(result.hits))) == 20

    async def test_the_limit_holds_for_each_arm(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """So both together give at most twice as many."""
        await store.upsert(collection, numbered(namespace, unit_vectors(30, DIMENSION)))
        assert len((await search(store, collection, namespace, vector=_X, limit=4)).hits) == 4
        assert len((await search(store, collection, namespace, terms=COMMON, limit=4)).hits) == 4
        both = await search(store, collection, namespace, vector=_X, terms=COMMON, limit=4)
        assert 4 <= len(both.hits) <= 8

    async def test_the_type_narrows_both_arms(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """It is pushed down: better points of another type take no places."""
        points = [
            point(namespace, coordinate(float(n)), _X, terms=COMMON, type=MemoryType.EPISODIC)
            for n in range(20)
        ]
        far = point(
            namespace,
            coordinate(-1.0),
            axis(1, DIMENSION),
            terms={"common": 0.1, "pad": 9.0},
            type=MemoryType.SEMANTIC,
        )
        await store.upsert(collection, [*points, far])
        for vector, terms in ((_X, None), (None, COMMON), (_X, COMMON)):
            result = await search(
                store,
                collection,
                namespace,
                vector=vector,
                terms=terms,
                type=MemoryType.SEMANTIC,
                limit=3,
            )
            assert places(result.hits) == [far.id.coordinate]

    async def test_queries_of_a_batch_are_answered_in_order(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Each as if it were alone, whatever the others ask."""
        vectors = unit_vectors(8, DIMENSION)
        for name in (namespace, namespace + "2"):
            await store.upsert(collection, numbered(name, vectors))
        queries = [
            VectorQuery(namespace=namespace, limit=1, vector=vectors[5]),
            VectorQuery(namespace=namespace + "none", limit=1, vector=vectors[5]),
            VectorQuery(namespace=namespace + "2", limit=1, vector=vectors[2]),
            VectorQuery(namespace=namespace, limit=3, terms=COMMON),
            VectorQuery(namespace=namespace, limit=2, vector=vectors[0]),
        ]
        results = await store.search(collection, queries)
        assert [len(result.hits) for result in results] == [1, 0, 1, 3, 2]
        assert results[0].hits[0].coordinate == coordinate(5.0)
        assert results[2].hits[0].coordinate == coordinate(2.0)
        assert by_vector(results[4])[0].coordinate == coordinate(0.0)

    async def test_each_query_of_a_batch_is_narrowed_by_itself(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Neither type nor filter of one holds for another."""
        points = [
            point(namespace, coordinate(float(n)), _X, payload={"n": n}, terms=COMMON, type=kind)
            for n, kind in enumerate(MemoryType)
        ]
        await store.upsert(collection, points)
        ask = VectorQuery(namespace=namespace, limit=9, vector=_X, terms=COMMON)
        queries = [
            *(replace(ask, type=kind) for kind in MemoryType),
            *(replace(ask, filter=parse_filter({"n": n})) for n in range(len(points))),
            ask,
        ]
        found = [set(places(result.hits)) for result in await store.search(collection, queries)]
        alone = [{one.id.coordinate} for one in points]
        assert found == [*alone, *alone, {one.id.coordinate for one in points}]

    async def test_an_empty_namespace_has_no_hits(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """It is no error to ask."""
        result = await search(store, collection, namespace, vector=_X, terms=COMMON)
        assert result.hits == ()

    async def test_searches_beside_writers_stay_sound(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """What nobody touches is always found, and nothing twice."""
        stable = [point(namespace, coordinate(-1.0 - n), _X, terms=COMMON) for n in range(5)]
        await store.upsert(collection, stable)

        async def write(first: int) -> None:
            for number in range(first, first + 10):
                where = coordinate(float(number))
                far = point(namespace, where, axis(1, DIMENSION), terms={"common": 0.1, "p": 9.0})
                await store.upsert(collection, [far])
                if number % 2:
                    await store.delete(collection, [far.id])

        async def read() -> None:
            for _ in range(10):
                result = await search(store, collection, namespace, vector=_X, terms=COMMON)
                found = places(result.hits)
                assert len(found) == len(set(found))
                assert {one.id.coordinate for one in stable} <= set(found)

        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(write(10 * number))
                group.create_task(read())
        result = await search(store, collection, namespace, vector=_X)
        assert len(result.hits) == 25


async def _write(
    store: VectorStore,
    collection: Collection,
    namespace: str,
    terms: Mapping[float, Mapping[str, float]],
) -> None:
    points = [point(namespace, coordinate(where), _X, terms=some) for where, some in terms.items()]
    await store.upsert(collection, points)


async def _recall(
    store: VectorStore,
    collection: Collection,
    namespace: str,
    vectors: NDArray[np.float32],
    alive: NDArray[np.bool_],
) -> float:
    queries = unit_vectors(20, DIMENSION, seed=99)
    found = expected = 0
    for query in queries:
        scores = np.where(alive, vectors @ query, -2.0)
        best: set[Coordinate] = {coordinate(float(row)) for row in np.argsort(-scores)[:10]}
        hits = by_vector(await search(store, collection, namespace, vector=query, limit=10))
        expected += len(best)
        found += len(best & set(places(hits)))
        for hit in hits:
            assert dense(hit) == pytest.approx(scores[int(hit.coordinate.components[0])], abs=0.02)
    return found / expected
