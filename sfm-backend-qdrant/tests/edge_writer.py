"""A process that writes points until it is killed, and says what was acknowledged."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from qdrant_helpers import COLLECTION, numbered, open_edge


def say(text: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def main(folder: Path) -> None:
    """Write ten points at a time."""
    async with open_edge(folder) as store:
        await store.ensure(COLLECTION)
        say(f"worker {store.worker}")
        for first in range(0, 100_000, 10):
            await store.upsert(COLLECTION, numbered(first, 10))
            say(f"written {first + 10}")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
