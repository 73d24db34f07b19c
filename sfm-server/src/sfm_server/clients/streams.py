"""Bodies of requests and answers that are streams of lines."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

import httpx

from sfm_server.clients.protocol import Progress

_BLOCK = 64 * 1024


async def lines_of(response: httpx.Response) -> AsyncIterator[bytes]:
    """Read a stream line by line, however it comes in."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest


async def blocks_of(lines: AsyncIterable[bytes], progress: Progress) -> AsyncIterator[bytes]:
    """Gather lines into blocks, and tell of those that have gone out."""
    block = bytearray()
    count = 0
    async for line in lines:
        block += line
        block += b"\n"
        count += 1
        if len(block) >= _BLOCK:
            yield bytes(block)
            progress(count)
            block.clear()
            count = 0
    yield bytes(block)
    progress(count)
