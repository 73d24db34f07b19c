"""The PostgreSQL backends behind a network that fails in every way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from postgres_helpers import open_graph, open_kv, open_vector

from sfm_core.resilience import (
    Policy,
    ResilientGraphStore,
    ResilientKeyValueStore,
    ResilientVectorStore,
)
from sfm_core.testing.clock import WaitingClock
from sfm_core.testing.contracts import (
    GraphOutageContract,
    KeyValueOutageContract,
    VectorOutageContract,
)

# The driver has no time-out of its own for an answer: as in the engine, the wrapper has.
POLICY = Policy(
    deadline=timedelta(seconds=3), setup_deadline=timedelta(seconds=3), failures_to_open=1000
)


@pytest.fixture
def impatient_url(database_url: str) -> str:
    return f"{database_url}?connect_timeout=2"


class TestPostgresKeyValueStoreInOutages(KeyValueOutageContract):
    deadline = timedelta(seconds=30)
    lease = timedelta(seconds=0.6)

    @pytest.fixture
    def clock(self) -> WaitingClock:
        return WaitingClock()

    @pytest.fixture
    def server_url(self, impatient_url: str) -> str:
        return impatient_url

    @pytest.fixture
    def connect(self) -> Callable[[str], ResilientKeyValueStore]:
        return lambda url: ResilientKeyValueStore(open_kv(url), policy=POLICY)


class TestPostgresGraphStoreInOutages(GraphOutageContract):
    deadline = timedelta(seconds=30)

    @pytest.fixture
    def server_url(self, impatient_url: str) -> str:
        return impatient_url

    @pytest.fixture
    def connect(self) -> Callable[[str], ResilientGraphStore]:
        return lambda url: ResilientGraphStore(open_graph(url), policy=POLICY)


class TestPostgresVectorStoreInOutages(VectorOutageContract):
    deadline = timedelta(seconds=30)

    @pytest.fixture
    def server_url(self, impatient_url: str) -> str:
        return impatient_url

    @pytest.fixture
    def connect(self) -> Callable[[str], ResilientVectorStore]:
        return lambda url: ResilientVectorStore(open_vector(url), policy=POLICY)
