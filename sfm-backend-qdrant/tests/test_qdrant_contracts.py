"""The Qdrant store keeps the promises of its port."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fix_qdrant import Server

from sfm_backend_qdrant.plugin import create_vector
from sfm_backend_qdrant.vector import QdrantVectorStore
from sfm_core.registry import BackendContext
from sfm_core.testing.contracts.vector import VectorStoreContract


class TestQdrantInMemory(VectorStoreContract):
    shared = False
    persistent = False

    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], QdrantVectorStore]:
        context = BackendContext(data_folder=tmp_path)
        return lambda: create_vector("qdrant+local:", context)


class TestQdrantInFolder(VectorStoreContract):
    shared = False

    @pytest.fixture
    def make(self, fast_folder: Path) -> Callable[[], QdrantVectorStore]:
        context = BackendContext(data_folder=fast_folder)
        return lambda: create_vector("qdrant+local:points", context)


class TestQdrantEdge(VectorStoreContract):
    shared = False

    @pytest.fixture
    def make(self, fast_folder: Path) -> Callable[[], QdrantVectorStore]:
        context = BackendContext(data_folder=fast_folder)
        return lambda: create_vector("qdrant+edge:", context)


class TestQdrantServer(VectorStoreContract):
    @pytest.fixture
    def make(self, qdrant_server: Server) -> Callable[[], QdrantVectorStore]:
        url = qdrant_server.url()
        return lambda: create_vector(url, qdrant_server.context)


class TestQdrantServerDividedAndQuantized(VectorStoreContract):
    @pytest.fixture
    def make(self, qdrant_server: Server) -> Callable[[], QdrantVectorStore]:
        url = f"{qdrant_server.url()}&shards=3&quantization=scalar"
        return lambda: create_vector(url, qdrant_server.context)
