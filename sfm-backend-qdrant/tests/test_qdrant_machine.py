"""Random sequences of calls, beside the in-process model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from qdrant_helpers import open_local

from sfm_backend_qdrant.vector import QdrantVectorStore
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.machines import DEFAULT_SETTINGS, check_vector_store


def test_the_store_is_like_its_model(tmp_path: Path) -> None:
    def fresh(_: ManualClock) -> Callable[[], QdrantVectorStore]:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return lambda: open_local(folder)

    check_vector_store(fresh, settings(DEFAULT_SETTINGS, max_examples=15))
