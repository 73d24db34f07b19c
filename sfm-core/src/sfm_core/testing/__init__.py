"""The kit that holds a backend to what its port promises.

Inherit from the contract class of the port and say how your backend is made::

    from collections.abc import Callable

    import pytest

    from sfm_core.protocols.kv import KeyValueStore
    from sfm_core.testing.clock import MovableClock
    from sfm_core.testing.contracts import KeyValueStoreContract


    class TestMine(KeyValueStoreContract):
        @pytest.fixture
        def make(self, tmp_path: Path, clock: MovableClock) -> Callable[[], KeyValueStore]:
            return lambda: MyStore(tmp_path / "mine.db", clock=clock)

`make` returns backends that are not open, any number of them, all on the same
data, which are empty at the start of a test. It needs the extra `testing`, and
works with either mode of pytest-asyncio. `sfm_core.testing.machines` runs
random operations on a backend and on the in-process one beside it.
"""

from __future__ import annotations

try:
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("The test kit needs pytest, which is not installed.") from error

pytest.register_assert_rewrite("sfm_core.testing.contracts", "sfm_core.testing.machines")
