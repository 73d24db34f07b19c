"""Random sequences of calls, beside the in-process model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from sqlite_helpers import open_graph, open_kv, open_vector

from sfm_backend_sqlite.graph import SqliteGraphStore
from sfm_backend_sqlite.kv import SqliteKeyValueStore
from sfm_backend_sqlite.vector import SqliteVectorStore
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.machines import (
    check_graph_store,
    check_key_value_store,
    check_vector_store,
)


def fresh_folder(tmp_path: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=tmp_path))


def test_the_key_value_store_is_like_its_model(tmp_path: Path) -> None:
    def fresh(clock: ManualClock) -> Callable[[], SqliteKeyValueStore]:
        folder = fresh_folder(tmp_path)
        return lambda: open_kv(folder, clock=clock)

    check_key_value_store(fresh)


def test_the_graph_store_is_like_its_model(tmp_path: Path) -> None:
    def fresh(_: ManualClock) -> Callable[[], SqliteGraphStore]:
        folder = fresh_folder(tmp_path)
        return lambda: open_graph(folder)

    check_graph_store(fresh)


def test_the_vector_store_is_like_its_model_also_from_snapshots(tmp_path: Path) -> None:
    def fresh(_: ManualClock) -> Callable[[], SqliteVectorStore]:
        folder = fresh_folder(tmp_path)
        return lambda: open_vector(folder, approximate_from=1, snapshot_from=1)

    check_vector_store(fresh)
