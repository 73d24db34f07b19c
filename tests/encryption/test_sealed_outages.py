"""An encrypted truth behind a network that fails in every way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from postgres_helpers import open_kv as open_postgres
from redis_helpers import open_kv as open_redis
from redis_helpers import with_options

from sfm_core.resilience import Policy, ResilientKeyValueStore
from sfm_core.testing.clock import WaitingClock
from sfm_core.testing.contracts import KeyValueOutageContract
from sfm_server.encryption.store import EncryptedKeyValueStore
from tests.sealed_stores import sealed

pytestmark = pytest.mark.long

# The driver has no time-out of its own for an answer: as in the engine, the wrapper has.
POLICY = Policy(deadline=timedelta(seconds=3), failures_to_open=1000)


class TestSealedRedisStoreInOutages(KeyValueOutageContract):
    deadline = timedelta(seconds=30)
    lease = timedelta(seconds=0.6)

    @pytest.fixture
    def clock(self) -> WaitingClock:
        return WaitingClock()

    @pytest.fixture
    def server_url(self, redis_url: str) -> str:
        return with_options(redis_url, "timeout_seconds=2&connect_timeout_seconds=2")

    @pytest.fixture
    def connect(self) -> Callable[[str], EncryptedKeyValueStore]:
        return lambda url: sealed(open_redis(url))


class TestSealedPostgresStoreInOutages(KeyValueOutageContract):
    deadline = timedelta(seconds=30)
    lease = timedelta(seconds=0.6)

    @pytest.fixture
    def clock(self) -> WaitingClock:
        return WaitingClock()

    @pytest.fixture
    def server_url(self, database_url: str) -> str:
        return f"{database_url}?connect_timeout=2"

    @pytest.fixture
    def connect(self) -> Callable[[str], EncryptedKeyValueStore]:
        return lambda url: sealed(ResilientKeyValueStore(open_postgres(url), policy=POLICY))
