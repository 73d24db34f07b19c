from __future__ import annotations

from collections.abc import Callable

import pytest

from sfm_core.inprocess import InProcessVectorStore, VectorState
from sfm_core.testing.contracts import VectorStoreContract


class TestInProcessVectorStore(VectorStoreContract):
    shared = False

    @pytest.fixture
    def make(self) -> Callable[[], InProcessVectorStore]:
        state = VectorState()
        return lambda: InProcessVectorStore(state=state)
