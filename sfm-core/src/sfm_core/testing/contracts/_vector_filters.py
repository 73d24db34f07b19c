"""Contract of the vector port: filters that are pushed down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sfm_core.errors import InvalidFilterError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import Filter, matches, parse_filter
from sfm_core.model.payload import JsonValue, Payload
from sfm_core.protocols.vector import Collection, VectorStore
from sfm_core.testing.contracts._base import BOUNDED, fresh_namespace
from sfm_core.testing.contracts._vector_base import (
    COMMON,
    DIMENSION,
    VectorTests,
    by_vector,
    by_words,
    numbered,
    places,
    search,
)
from sfm_core.testing.filter_cases import FILTER_CASES, FilterCase
from sfm_core.testing.samples import axis, coordinate, point, unit_vectors
from sfm_core.testing.strategies import filters, payloads

_X = axis(0, DIMENSION)


class FilterTests(VectorTests):
    """Filters mean the same in every store: what `sfm_core.model.filters` says."""

    @pytest.mark.parametrize("case", FILTER_CASES, ids=lambda case: str(case.source))
    async def test_a_filter_matches_what_the_language_says(
        self, store: VectorStore, collection: Collection, namespace: str, case: FilterCase
    ) -> None:
        """In both arms; an operator that the store does not know is refused, never ignored."""
        samples = (*case.hits, *case.misses)
        await _write(store, collection, namespace, samples)
        expected = {coordinate(float(place)) for place in range(len(case.hits))}
        await self._check(store, collection, namespace, case.source, expected)

    @BOUNDED
    @given(source=filters(), samples=st.lists(payloads(), max_size=12))
    @example(source={"a": 1}, samples=[{"a": True}, {"a": 1.0}, {"a": [[1]]}, {"a": {"a": 1}}])
    async def test_any_filter_matches_as_the_reference_does(
        self,
        store: VectorStore,
        collection: Collection,
        source: Mapping[str, JsonValue],
        samples: list[Payload],
    ) -> None:
        """For filters and payloads that nobody thought of."""
        namespace = fresh_namespace()
        await _write(store, collection, namespace, samples)
        condition = parse_filter(source)
        expected = {
            coordinate(float(place))
            for place, payload in enumerate(samples)
            if condition is None or matches(condition, payload)
        }
        await self._check(store, collection, namespace, source, expected)

    async def test_a_filter_that_leaves_few_points_finds_them_all(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """It is pushed down: one in a hundred matches, and none is missed."""
        rows = [{"part": row % 100} for row in range(600)]
        vectors = unit_vectors(600, DIMENSION)
        await store.upsert(collection, numbered(namespace, vectors, payloads=rows))
        condition = parse_filter({"part": 7})
        expected = {coordinate(float(row)) for row in range(7, 600, 100)}
        for vector in unit_vectors(5, DIMENSION, seed=3):
            result = await search(
                store, collection, namespace, vector=vector, terms=COMMON, filter=condition, limit=6
            )
            assert set(places(by_vector(result))) == expected
            assert set(places(by_words(result))) == expected

    async def test_a_filter_does_not_reach_into_other_namespaces(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """A negation is true of everybody's points, and finds only one's own."""
        for name in (namespace, namespace + "2"):
            await store.upsert(collection, [point(name, coordinate(1.0), _X, terms=COMMON)])
        condition = parse_filter({"$or": [{"a": {"$exists": False}}, {"a": 1}]})
        result = await search(
            store, collection, namespace, vector=_X, terms=COMMON, filter=condition
        )
        assert len(result.hits) == 1

    async def _check(
        self,
        store: VectorStore,
        collection: Collection,
        namespace: str,
        source: Mapping[str, JsonValue],
        expected: set[Coordinate],
    ) -> None:
        condition: Filter | None = parse_filter(source)
        if self.unsupported_operators & _operators(source):
            with pytest.raises(InvalidFilterError):
                await search(store, collection, namespace, vector=_X, filter=condition)
            return
        nearest = await search(store, collection, namespace, vector=_X, filter=condition)
        assert set(places(by_vector(nearest))) == expected
        spoken = await search(store, collection, namespace, terms=COMMON, filter=condition)
        assert set(places(by_words(spoken))) == expected


async def _write(
    store: VectorStore, collection: Collection, namespace: str, samples: Sequence[Payload]
) -> None:
    points = [
        point(namespace, coordinate(float(place)), _X, payload=payload, terms=COMMON)
        for place, payload in enumerate(samples)
    ]
    await store.upsert(collection, points)


def _operators(source: Mapping[str, JsonValue]) -> set[str]:
    found: set[str] = set()
    for key, value in source.items():
        if key.startswith("$"):
            found.add(key)
        parts = value if isinstance(value, list | tuple) else (value,)
        for part in parts:
            if isinstance(part, Mapping):
                found |= _operators(part)
    return found
