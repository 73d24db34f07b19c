"""Random operations on a vector store."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from sfm_core.inprocess import InProcessVectorStore, VectorState
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import parse_filter
from sfm_core.model.memory import MemoryType
from sfm_core.model.payload import JsonValue
from sfm_core.protocols.vector import (
    Collection,
    Point,
    PointId,
    SearchResult,
    VectorQuery,
    VectorStore,
)
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.machines._base import DEFAULT_SETTINGS, BackendMachine, Fresh, run_machine
from sfm_core.testing.samples import coordinate, point, unit_vectors
from sfm_core.testing.strategies import filters, payloads

_FIRST = Collection(name="first", dimension=8)
_SECOND = Collection(name="second", dimension=8)
_COLLECTIONS = st.sampled_from((_FIRST, _SECOND))
_NAMESPACES = st.sampled_from(("one", "One"))
_VECTORS = st.sampled_from(tuple(unit_vectors(12, 8)))
_TERMS = st.dictionaries(
    st.sampled_from(("a", "A", "b", "c d")), st.sampled_from((0.5, 1.0, 2.0)), max_size=3
)
_WHERE = st.sampled_from((coordinate(0.0), coordinate(-1.0), coordinate(1.0), coordinate(1.0, 0.0)))
_IDS = st.builds(PointId, namespace=_NAMESPACES, coordinate=_WHERE)
_POINTS = st.builds(
    point,
    _NAMESPACES,
    _WHERE,
    _VECTORS,
    version=st.integers(1, 5),
    type=st.sampled_from(MemoryType),
    payload=payloads(),
    terms=_TERMS,
)
# As many as there are places, so that no arm has to choose between equals.
_LIMIT = 4


class VectorMachine(BackendMachine[VectorStore]):
    """Writes, removals, searches and pages, in two collections."""

    @initialize()
    def begin(self) -> None:
        """Make the collections."""
        self.both(lambda store: store.ensure(_FIRST))
        self.both(lambda store: store.ensure(_SECOND))

    @rule(collection=_COLLECTIONS, points=st.lists(_POINTS, max_size=4))
    def upsert(self, collection: Collection, points: list[Point]) -> None:
        """Write some points."""
        self.both(lambda store: store.upsert(collection, points))

    @rule(collection=_COLLECTIONS, ids=st.lists(_IDS, max_size=3))
    def delete(self, collection: Collection, ids: list[PointId]) -> None:
        """Remove some points."""
        self.both(lambda store: store.delete(collection, ids))

    @rule(
        collection=_COLLECTIONS,
        namespace=_NAMESPACES,
        row=st.none() | st.integers(0, 11),
        terms=_TERMS,
        type=st.none() | st.sampled_from(MemoryType),
        source=st.none() | filters(),
    )
    def search(
        self,
        *,
        collection: Collection,
        namespace: str,
        row: int | None,
        terms: Mapping[str, float],
        type: MemoryType | None,
        source: Mapping[str, JsonValue] | None,
    ) -> None:
        """Ask a question; scores of words are compared by what they are above."""
        query = VectorQuery(
            namespace=namespace,
            limit=_LIMIT,
            vector=None if row is None else unit_vectors(12, 8)[row],
            terms=terms,
            type=type,
            filter=parse_filter(source),
        )
        [actual] = self.run(self.store.search(collection, [query]))
        [expected] = self.run(self.model.search(collection, [query]))
        assert len(actual.hits) == len(expected.hits)
        assert _cosines(actual).keys() == _cosines(expected).keys()
        assert _cosines(actual) == pytest.approx(_cosines(expected), abs=0.02)
        assert _spoken(actual) == _spoken(expected)

    @rule(
        collection=_COLLECTIONS,
        namespace=_NAMESPACES,
        after=st.none() | _WHERE,
        limit=st.integers(1, 3),
    )
    def scroll(
        self, collection: Collection, namespace: str, after: Coordinate | None, limit: int
    ) -> None:
        """List a page of points."""
        self.both(lambda store: store.scroll(collection, namespace, after=after, limit=limit))

    @rule(collection=_COLLECTIONS)
    def drop_and_begin_anew(self, collection: Collection) -> None:
        """Remove a collection and make it again."""
        self.both(lambda store: store.drop(collection))
        self.both(lambda store: store.collections())
        self.both(lambda store: store.ensure(collection))


def check_vector_store(fresh: Fresh[VectorStore], how: settings = DEFAULT_SETTINGS) -> None:
    """Compare a vector store with the model, over random operations.

    It is for stores that are persistent and refuse no filter operator.

    Args:
        fresh: Begins new, empty data and returns what makes a store on them.
        how: How many examples, and how long.

    Raises:
        AssertionError: The store answered otherwise than the model.
    """
    run_machine(VectorMachine, fresh, _model, how)


def _model(clock: ManualClock) -> Callable[[], InProcessVectorStore]:  # noqa: ARG001 - as others
    state = VectorState()
    return lambda: InProcessVectorStore(state=state)


def _cosines(result: SearchResult) -> dict[tuple[Coordinate, int], float]:
    """Return the dense scores; what has none stands outside their range."""
    return {
        (hit.coordinate, hit.version): 9.0 if hit.dense is None else hit.dense
        for hit in result.hits
    }


def _spoken(result: SearchResult) -> set[tuple[Coordinate, int]]:
    """Return what shares a term with the query."""
    return {(hit.coordinate, hit.version) for hit in result.hits if hit.keyword}
