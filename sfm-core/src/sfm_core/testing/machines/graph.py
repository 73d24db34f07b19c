"""Random operations on a graph store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from sfm_core.inprocess import GraphState, InProcessGraphStore
from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.graph import Direction, Edge, EdgeId, GraphStore
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.machines._base import DEFAULT_SETTINGS, BackendMachine, Fresh, run_machine
from sfm_core.testing.samples import coordinate

AnswerT = TypeVar("AnswerT")

_NAMESPACES = st.sampled_from(("one", "One"))
_NODES = st.sampled_from(
    (coordinate(0.0), coordinate(-1.0), coordinate(1.0), coordinate(1.0, 0.0), coordinate(0.5))
)
_TYPES = st.sampled_from(("a", "A", "ab"))
_IDS = st.builds(EdgeId, source=_NODES, type=_TYPES, target=_NODES)
_WEIGHTS = st.sampled_from((0.0, 0.1, 1.0, 1e300))
_EDGES = st.builds(Edge, id=_IDS, weight=_WEIGHTS, version=st.integers(1, 3))


class GraphMachine(BackendMachine[GraphStore]):
    """Writes, removals, neighbours and pages."""

    @rule(
        namespace=_NAMESPACES,
        upserts=st.lists(_EDGES, max_size=6),
        deletes=st.lists(_IDS, max_size=3),
    )
    def apply(self, namespace: str, upserts: list[Edge], deletes: list[EdgeId]) -> None:
        """Write and remove some edges."""
        self.both(lambda store: store.apply(namespace, upserts=upserts, deletes=deletes))

    @rule(
        namespace=_NAMESPACES,
        nodes=st.lists(_NODES, max_size=4),
        direction=st.sampled_from(Direction),
        link_type=st.none() | _TYPES,
        limit=st.integers(1, 4),
    )
    def neighbors(
        self,
        namespace: str,
        nodes: list[Coordinate],
        direction: Direction,
        link_type: str | None,
        limit: int,
    ) -> None:
        """Look around some nodes."""
        self.both(
            lambda store: store.neighbors(
                namespace, nodes, direction=direction, link_type=link_type, limit=limit
            )
        )

    @rule(namespace=_NAMESPACES, after=st.none() | _IDS, limit=st.integers(1, 5))
    def scroll(self, namespace: str, after: EdgeId | None, limit: int) -> None:
        """List a page of edges."""
        self.both(lambda store: store.scroll(namespace, after=after, limit=limit))

    @rule(namespace=_NAMESPACES)
    def drop(self, namespace: str) -> None:
        """Empty a namespace."""
        self.both(lambda store: store.drop(namespace))


def check_graph_store(fresh: Fresh[GraphStore], how: settings = DEFAULT_SETTINGS) -> None:
    """Compare a graph store with the model, over random operations.

    Args:
        fresh: Begins new, empty data and returns what makes a store on them.
        how: How many examples, and how long.

    Raises:
        AssertionError: The store answered otherwise than the model.
    """
    run_machine(GraphMachine, fresh, _model, how)


def _model(clock: ManualClock) -> Callable[[], InProcessGraphStore]:  # noqa: ARG001 - as others
    state = GraphState()
    return lambda: InProcessGraphStore(state=state)
