from __future__ import annotations

from collections.abc import Callable

import pytest

from sfm_core.inprocess import GraphState, InProcessGraphStore
from sfm_core.testing.contracts import GraphStoreContract


class TestInProcessGraphStore(GraphStoreContract):
    shared = False

    @pytest.fixture
    def make(self) -> Callable[[], InProcessGraphStore]:
        state = GraphState()
        return lambda: InProcessGraphStore(state=state)
