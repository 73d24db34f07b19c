"""The SQLite backends keep the promises of their ports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sfm_backend_sqlite.graph import SqliteGraphStore
from sfm_backend_sqlite.kv import SqliteKeyValueStore
from sfm_backend_sqlite.plugin import create_graph, create_kv, create_vector
from sfm_backend_sqlite.vector import SqliteVectorStore
from sfm_core.registry import BackendContext
from sfm_core.testing.clock import MovableClock
from sfm_core.testing.contracts.graph import GraphStoreContract
from sfm_core.testing.contracts.kv import KeyValueStoreContract
from sfm_core.testing.contracts.vector import VectorStoreContract

# What a Python version may change shows here.
pytestmark = pytest.mark.smoke


class TestSqliteKeyValueStore(KeyValueStoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path, clock: MovableClock) -> Callable[[], SqliteKeyValueStore]:
        return lambda: create_kv("sqlite:", BackendContext(data_folder=tmp_path, clock=clock))


class TestSqliteGraphStore(GraphStoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path, clock: MovableClock) -> Callable[[], SqliteGraphStore]:
        return lambda: create_graph("sqlite:", BackendContext(data_folder=tmp_path, clock=clock))


class TestSqliteVectorStore(VectorStoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path, clock: MovableClock) -> Callable[[], SqliteVectorStore]:
        return lambda: create_vector("sqlite:", BackendContext(data_folder=tmp_path, clock=clock))
