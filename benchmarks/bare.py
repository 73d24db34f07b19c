"""The work that no memory can do without, done without a memory."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index


def inserts_per_second(folder: Path, values: Sequence[bytes], *, group: int) -> float:
    """Insert rows with `sqlite3` alone, each group durably in one transaction.

    Args:
        folder: Where to make the file.
        values: What to insert, each under a random key.
        group: Rows in one transaction.

    Returns:
        Rows per second.
    """
    with closing(sqlite3.connect(folder / f"bare-{group}.db", isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = WAL").fetchone()
        file.execute("PRAGMA synchronous = FULL")
        file.execute("CREATE TABLE entry (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
        rows = [(os.urandom(26), value) for value in values]
        start = time.perf_counter()
        for at in range(0, len(rows), group):
            file.execute("BEGIN IMMEDIATE")
            file.executemany("INSERT INTO entry VALUES (?, ?)", rows[at : at + group])
            file.execute("COMMIT")
        return len(rows) / (time.perf_counter() - start)


def search_seconds(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], *, limit: int
) -> dict[str, float]:
    """Search vectors one query at a time, with libraries alone.

    Args:
        vectors: What to search, one row each, of length 1.
        queries: What to search for.
        limit: Hits of one search.

    Returns:
        Seconds of a search, by library.
    """
    # Half the effort that is usual for building, which takes minutes otherwise.
    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f16", expansion_add=64)
    index.add(np.arange(len(vectors)), vectors)
    start = time.perf_counter()
    for query in queries:
        index.search(query, limit)
    hnsw = (time.perf_counter() - start) / len(queries)
    start = time.perf_counter()
    for query in queries:
        np.argpartition(vectors @ query, -limit)[-limit:]
    return {"usearch": hnsw, "numpy": (time.perf_counter() - start) / len(queries)}
