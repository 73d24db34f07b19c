"""The contracts of whatever backend `sfm-conformance` was asked about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from sfm_core.protocols.cache import Cache
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.vector import VectorStore
from sfm_core.registry import BackendContext, PortName, Registration
from sfm_core.testing._conformance_target import chosen
from sfm_core.testing.clock import ManualClock, MovableClock, WaitingClock
from sfm_core.testing.contracts import (
    CacheContract,
    CapabilityContract,
    EmbedderContract,
    GraphStoreContract,
    KeyValueStoreContract,
    VectorStoreContract,
)

_TARGET = chosen()
_PORT = _TARGET.registration.port
# The clock of a server cannot be moved, so what is waited for has to be short.
_TERM = timedelta(seconds=30 if _TARGET.local else 0.6)


@pytest.fixture
def clock() -> MovableClock:
    """Return the clock of the backend, or what stands for that of its server."""
    return ManualClock() if _TARGET.local else WaitingClock()


class TestCapabilities(CapabilityContract):
    """What its registration says."""

    @pytest.fixture
    def registration(self) -> Registration[Backend]:
        """Return what the plugin registers."""
        return _TARGET.registration

    @pytest.fixture
    def url(self) -> str:
        """Return a URL with no data."""
        return _TARGET.fresh_url()

    @pytest.fixture
    def new_context(self, tmp_path: Path) -> Callable[[], BackendContext]:
        """Return what makes contexts with the given options."""
        return lambda: _TARGET.context(tmp_path)


class TestKeyValueStore(KeyValueStoreContract):
    """The whole port."""

    __test__ = _PORT is PortName.KV
    shared = _TARGET.shared
    lease = _TERM

    @pytest.fixture
    def clock(self, clock: MovableClock) -> MovableClock:
        """Return the module's."""
        return clock

    @pytest.fixture
    def make(self, tmp_path: Path, clock: MovableClock) -> Callable[[], KeyValueStore]:
        """Return what makes stores."""
        return cast(Callable[[], KeyValueStore], _TARGET.maker(tmp_path, clock))


class TestVectorStore(VectorStoreContract):
    """The whole port."""

    __test__ = _PORT is PortName.VECTOR
    shared = _TARGET.shared
    persistent = _TARGET.persistent
    scores_both_arms = _TARGET.scores_both_arms
    unsupported_operators = _TARGET.unsupported

    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], VectorStore]:
        """Return what makes stores."""
        return cast(Callable[[], VectorStore], _TARGET.maker(tmp_path))


class TestGraphStore(GraphStoreContract):
    """The whole port."""

    __test__ = _PORT is PortName.GRAPH
    shared = _TARGET.shared
    persistent = _TARGET.persistent

    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], GraphStore]:
        """Return what makes stores."""
        return cast(Callable[[], GraphStore], _TARGET.maker(tmp_path))


class TestCache(CacheContract):
    """The whole port."""

    __test__ = _PORT is PortName.CACHE
    shared = _TARGET.shared
    ttl = _TERM

    @pytest.fixture
    def clock(self, clock: MovableClock) -> MovableClock:
        """Return the module's."""
        return clock

    @pytest.fixture
    def make(self, tmp_path: Path, clock: MovableClock) -> Callable[[], Cache]:
        """Return what makes caches."""
        return cast(Callable[[], Cache], _TARGET.maker(tmp_path, clock))


class TestEmbedder(EmbedderContract):
    """The whole port."""

    __test__ = _PORT is PortName.EMBEDDER
    shared = _TARGET.shared

    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], Embedder]:
        """Return what makes embedders."""
        return cast(Callable[[], Embedder], _TARGET.maker(tmp_path))
