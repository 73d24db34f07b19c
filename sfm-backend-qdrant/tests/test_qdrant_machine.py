"""Random sequences of calls, beside the in-process model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fix_qdrant import Server
from hypothesis import HealthCheck, settings
from qdrant_helpers import open_edge, open_local

from sfm_backend_qdrant.plugin import create_vector
from sfm_backend_qdrant.vector import QdrantVectorStore
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.machines import check_vector_store


def test_the_store_is_like_its_model(tmp_path: Path) -> None:
    def fresh(_: ManualClock) -> Callable[[], QdrantVectorStore]:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return lambda: open_local(folder)

    check_vector_store(fresh)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_store_in_a_worker_is_like_its_model(fast_folder: Path) -> None:
    def fresh(_: ManualClock) -> Callable[[], QdrantVectorStore]:
        folder = Path(tempfile.mkdtemp(dir=fast_folder))
        return lambda: open_edge(folder, query="?durability=normal")

    # Each example begins with a new process, and each step that opens the store again is another.
    few = settings(
        max_examples=10,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    check_vector_store(fresh, few)


def test_the_store_on_a_server_is_like_its_model(qdrant_server: Server) -> None:
    def fresh(_: ManualClock) -> Callable[[], QdrantVectorStore]:
        url = qdrant_server.url()
        return lambda: create_vector(url, qdrant_server.context)

    check_vector_store(fresh)
