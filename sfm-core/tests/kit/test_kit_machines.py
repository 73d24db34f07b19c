from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import Phase, settings
from mutants_graph import DeleteIgnoresTheType
from mutants_outbox import ReleaseIgnoresTheDelay
from mutants_points import StaleDelete

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

UNEXPLAINED = settings(
    max_examples=500,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    print_blob=False,
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


def test_the_key_value_machine_notices_a_delay_that_is_ignored() -> None:
    def fresh(clock: ManualClock) -> Callable[[], InProcessKeyValueStore]:
        state = KeyValueState()
        return lambda: ReleaseIgnoresTheDelay(state=state, clock=clock)

    with pytest.raises(AssertionError):
        check_key_value_store(fresh, UNEXPLAINED)


def test_the_vector_machine_notices_a_delete_that_does_nothing() -> None:
    def fresh(_: ManualClock) -> Callable[[], InProcessVectorStore]:
        state = VectorState()
        return lambda: StaleDelete(state=state)

    with pytest.raises(AssertionError):
        check_vector_store(fresh, UNEXPLAINED)


def test_the_graph_machine_notices_a_delete_too_many() -> None:
    def fresh(_: ManualClock) -> Callable[[], InProcessGraphStore]:
        state = GraphState()
        return lambda: DeleteIgnoresTheType(state=state)

    with pytest.raises(AssertionError):
        check_graph_store(fresh, UNEXPLAINED)
