"""The store on a real Qdrant server, behind a network that fails in every way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fix_qdrant import Server

from sfm_backend_qdrant.plugin import create_vector
from sfm_core.protocols.vector import VectorStore
from sfm_core.testing.contracts import VectorOutageContract


class TestQdrantVectorStoreInOutages(VectorOutageContract):
    default_port = 6333

    @pytest.fixture
    def server_url(self, qdrant_server: Server) -> str:
        # gRPC has a port of its own, before which no proxy stands.
        return f"{qdrant_server.url()}&timeout_seconds=1&grpc=never"

    @pytest.fixture
    def connect(self, qdrant_server: Server) -> Callable[[str], VectorStore]:
        return lambda url: create_vector(url, qdrant_server.context)
