"""The PostgreSQL backends keep the promises of their ports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sfm_backend_postgres.graph import PostgresGraphStore
from sfm_backend_postgres.kv import PostgresKeyValueStore
from sfm_backend_postgres.plugin import create_graph, create_kv, create_vector
from sfm_backend_postgres.vector import PostgresVectorStore
from sfm_core.registry import BackendContext
from sfm_core.testing.clock import MovableClock, WaitingClock
from sfm_core.testing.contracts.graph import GraphStoreContract
from sfm_core.testing.contracts.kv import KeyValueStoreContract
from sfm_core.testing.contracts.vector import VectorStoreContract


class TestPostgresKeyValueStore(KeyValueStoreContract):
    lease = timedelta(seconds=0.6)

    @pytest.fixture
    def clock(self) -> MovableClock:
        return WaitingClock()

    @pytest.fixture
    def make(self, tmp_path: Path, database_url: str) -> Callable[[], PostgresKeyValueStore]:
        return lambda: create_kv(database_url, BackendContext(data_folder=tmp_path))


class TestPostgresGraphStore(GraphStoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path, database_url: str) -> Callable[[], PostgresGraphStore]:
        return lambda: create_graph(database_url, BackendContext(data_folder=tmp_path))


class TestPostgresVectorStore(VectorStoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path, database_url: str) -> Callable[[], PostgresVectorStore]:
        return lambda: create_vector(database_url, BackendContext(data_folder=tmp_path))


class TestOldestPostgresKeyValueStore(TestPostgresKeyValueStore):
    @pytest.fixture
    def database_url(self, oldest_database_url: str) -> str:
        return oldest_database_url


class TestOldestPostgresGraphStore(TestPostgresGraphStore):
    @pytest.fixture
    def database_url(self, oldest_database_url: str) -> str:
        return oldest_database_url
