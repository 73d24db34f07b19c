"""A process that writes to a data folder; the tests start several, and kill some.

    python sqlite_worker.py FOLDER NAME COUNT

Prints `ready`, waits for a line on standard input, and then prints each number
once its commit is acknowledged. Every fifth commit also increments a counter that
all processes fight for, by expectation of its version.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from sqlite_helpers import COLLECTION, clustered, points

from sfm_backend_sqlite.kv import SqliteKeyValueStore
from sfm_backend_sqlite.plugin import create_kv, create_vector
from sfm_backend_sqlite.vector import SqliteVectorStore
from sfm_core.protocols.kv import Commit, Committed, Write
from sfm_core.registry import BackendContext

LEASE = timedelta(seconds=30)
SHARED = b"shared"


async def store(
    kv: SqliteKeyValueStore, vectors: SqliteVectorStore, name: str, number: int
) -> None:
    """Store an entry as the engine does: commit, index, acknowledge."""
    key = f"{name}/{number:06}".encode()
    commit = Commit(
        namespace="n",
        writes=(Write(key, key, 1),),
        expect={key: 0},
        counters={"total": 1},
        dirty=(key,),
    )
    [result] = await kv.commit([commit], owner=name, lease=LEASE)
    if number % 5 == 0:
        await increment(kv, name)
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()
    if number % 10 == 0:
        [point] = points(clustered(1, seed=number), first=number, namespace=name)
        await vectors.upsert(COLLECTION, [point])
    if isinstance(result, Committed):
        await kv.acknowledge(result.notes)


async def increment(kv: SqliteKeyValueStore, name: str) -> None:
    """Add one to the entry that all fight for."""
    [entry] = await kv.get_many("n", [SHARED])
    while True:
        version = entry.version if entry else 0
        write = Write(SHARED, b"", version + 1)
        [result] = await kv.commit(
            [Commit(namespace="n", writes=(write,), expect={SHARED: version})],
            owner=name,
            lease=LEASE,
        )
        if isinstance(result, Committed):
            return
        entry = result.current[SHARED]


async def main(folder: Path, name: str, count: int) -> None:
    """Write with four tasks."""
    context = BackendContext(data_folder=folder)
    async with create_kv("sqlite:", context) as kv, create_vector("sqlite:", context) as vectors:
        await vectors.ensure(COLLECTION)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)

        async def task(first: int) -> None:
            for number in range(first, count, 4):
                await store(kv, vectors, name, number)

        await asyncio.gather(*map(task, range(4)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
