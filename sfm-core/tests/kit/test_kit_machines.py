from __future__ import annotations

from collections.abc import Callable

from sfm_core.inprocess import (
    GraphState,
    InProcessGraphStore,
    InProcessKeyValueStore,
    InProcessVectorStore,
    KeyValueState,
    VectorState,
)
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.machines import (
    check_graph_store,
    check_key_value_store,
    check_vector_store,
)


def test_the_key_value_model_is_like_itself() -> None:
    def fresh(clock: ManualClock) -> Callable[[], InProcessKeyValueStore]:
        state = KeyValueState()
        return lambda: InProcessKeyValueStore(state=state, clock=clock)

    check_key_value_store(fresh)


def test_the_vector_model_is_like_itself() -> None:
    def fresh(_: ManualClock) -> Callable[[], InProcessVectorStore]:
        state = VectorState()
        return lambda: InProcessVectorStore(state=state)

    check_vector_store(fresh)


def test_the_graph_model_is_like_itself() -> None:
    def fresh(_: ManualClock) -> Callable[[], InProcessGraphStore]:
        state = GraphState()
        return lambda: InProcessGraphStore(state=state)

    check_graph_store(fresh)
