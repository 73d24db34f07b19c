"""A consumer in a process of its own, to be killed: prints what it is handed, a line each.

    python kafka_child.py URL

It acknowledges every other batch, so that whoever follows it has something to do again.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from kafka_helpers import open_source


async def main(url: str) -> None:
    async with open_source(url) as source:
        acknowledges = True
        while True:
            found = await source.receive(limit=20, wait=timedelta(seconds=1))
            # First, so that nothing is acknowledged of which nobody has heard.
            for delivery in found:
                assert delivery.event is not None
                print(delivery.event.subject, delivery.event.version, flush=True)  # noqa: T201 - read by the test
            if found and acknowledges:
                await source.acknowledge(found)
            acknowledges = not acknowledges


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
