"""An encrypted truth keeps every promise of the port, on every store that can be one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from postgres_helpers import open_kv as open_postgres
from redis_helpers import open_kv as open_redis
from sqlite_helpers import open_kv as open_sqlite

from sfm_core.inprocess import InProcessKeyValueStore, KeyValueState
from sfm_core.testing.clock import MovableClock, WaitingClock
from sfm_core.testing.contracts import KeyValueStoreContract
from sfm_server.encryption.store import EncryptedKeyValueStore
from tests.sealed_stores import sealed


class TestSealedInProcessStore(KeyValueStoreContract):
    shared = False

    @pytest.fixture
    def make(self, clock: MovableClock) -> Callable[[], EncryptedKeyValueStore]:
        state = KeyValueState()
        return lambda: sealed(InProcessKeyValueStore(state=state, clock=clock))


class TestSealedSqliteStore(KeyValueStoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path, clock: MovableClock) -> Callable[[], EncryptedKeyValueStore]:
        return lambda: sealed(open_sqlite(tmp_path, clock=clock))


class TestSealedRedisStore(KeyValueStoreContract):
    lease = timedelta(seconds=0.6)

    @pytest.fixture
    def clock(self) -> WaitingClock:
        return WaitingClock()

    @pytest.fixture
    def make(self, redis_url: str) -> Callable[[], EncryptedKeyValueStore]:
        return lambda: sealed(open_redis(redis_url))


class TestSealedPostgresStore(KeyValueStoreContract):
    lease = timedelta(seconds=0.6)

    @pytest.fixture
    def clock(self) -> WaitingClock:
        return WaitingClock()

    @pytest.fixture
    def make(self, database_url: str) -> Callable[[], EncryptedKeyValueStore]:
        return lambda: sealed(open_postgres(database_url))
