"""Streams of bytes: cut into lines, joined to blocks, packed and unpacked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from sfm_server.codings import Coding, Unpacker, packer
from sfm_server.problems import BodyTooLargeError

_BLOCK = 64 * 1024


async def split_lines(chunks: AsyncGenerator[bytes], *, limit: int) -> AsyncGenerator[bytes]:
    """Cut a stream into lines.

    Args:
        chunks: Parts of the stream, of any size; closed at the end.
        limit: Longest line, in bytes.

    Yields:
        Lines without their ends.

    Raises:
        BodyTooLargeError: A line is longer than the limit; the lines before it are out already.
    """
    rest = bytearray()
    async with aclosing(chunks):
        async for chunk in chunks:
            *whole, last = chunk.split(b"\n")
            for line in whole:
                yield bytes(rest) + line
                rest.clear()
            rest += last
            if len(rest) > limit:
                raise BodyTooLargeError(
                    f"A line takes more than {limit} bytes.",
                    remedy="Send shorter lines, or raise SFM_MAX_BODY_BYTES.",
                )
    if rest:
        yield bytes(rest)


async def blocks_of(lines: AsyncGenerator[bytes], *, size: int = _BLOCK) -> AsyncGenerator[bytes]:
    """Join lines to blocks.

    Args:
        lines: Lines without their ends; closed at the end, whatever that is.
        size: Least bytes of a block but the last.

    Yields:
        Blocks in which each line has its end.
    """
    block = bytearray()
    async with aclosing(lines):
        async for line in lines:
            block += line
            block += b"\n"
            if len(block) >= size:
                yield bytes(block)
                block.clear()
    if block:
        yield bytes(block)


async def packed(blocks: AsyncGenerator[bytes], coding: Coding) -> AsyncGenerator[bytes]:
    """Pack a stream.

    Args:
        blocks: Parts of it; closed at the end.
        coding: How.

    Yields:
        Packed parts, none of them empty.
    """
    working = packer(coding)
    async with aclosing(blocks):
        async for block in blocks:
            # Copying nothing costs less than a thread.
            ready = (
                block if coding is Coding.NONE else await asyncio.to_thread(working.compress, block)
            )
            if ready:
                yield ready
    rest = working.flush()
    if rest:
        yield rest


async def unpacked(parts: AsyncGenerator[bytes], coding: Coding) -> AsyncGenerator[bytes]:
    """Unpack a stream.

    Args:
        parts: Packed parts; closed at the end.
        coding: How.

    Yields:
        Parts of what is in it.

    Raises:
        MalformedBodyError: It is not packed like that, or was cut off.
        BodyTooLargeError: It grows beyond measure.
    """
    working = Unpacker(coding)
    async with aclosing(parts):
        async for part in parts:
            for piece in working.feed(part):
                yield piece
                # Little may become much, which must not keep others waiting.
                await asyncio.sleep(0)
    working.finish()
