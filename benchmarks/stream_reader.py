"""Read events from a topic in a process of its own, and tell when each came.

    python -m benchmarks.stream_reader URL COUNT

Prints a line when it has joined its group, and at the end a JSON object of the
seconds since 1970 at which each event id came first.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import timedelta
from pathlib import Path

from sfm_core.plugins import load_plugins
from sfm_core.protocols import MAX_BATCH
from sfm_core.registry import BackendContext


async def read(url: str, count: int) -> dict[str, float]:
    """Read until so many events have come.

    Args:
        url: The topic.
        count: How many events there will be.

    Returns:
        When each came, by its id.
    """
    came: dict[str, float] = {}
    context = BackendContext(data_folder=Path("unused"))
    async with load_plugins().registry.create_source(url, context) as source:
        print("joining", flush=True)
        while len(came) < count:
            deliveries = await source.receive(limit=MAX_BATCH, wait=timedelta(seconds=1))
            now = time.time()
            for delivery in deliveries:
                if delivery.event is not None:
                    came.setdefault(delivery.event.id, now)
            await source.acknowledge(deliveries)
    return came


if __name__ == "__main__":
    print(json.dumps(asyncio.run(read(sys.argv[1], int(sys.argv[2])))))
