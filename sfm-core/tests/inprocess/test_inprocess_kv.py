from __future__ import annotations

from collections.abc import Callable

import pytest

from sfm_core.inprocess import InProcessKeyValueStore, KeyValueState
from sfm_core.testing.clock import MovableClock
from sfm_core.testing.contracts import KeyValueStoreContract


class TestInProcessKeyValueStore(KeyValueStoreContract):
    shared = False

    @pytest.fixture
    def make(self, clock: MovableClock) -> Callable[[], InProcessKeyValueStore]:
        state = KeyValueState()
        return lambda: InProcessKeyValueStore(state=state, clock=clock)
