"""Streams come back as they were however they are cut, and what is hostile is stopped early."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import AsyncGenerator

import pytest
import zstandard

from sfm_server.codings import (
    MAX_RATIO,
    PIECE,
    RATIO_FREE_BYTES,
    Coding,
    Packer,
    Unpacker,
    coding_of_content,
    coding_of_name,
    coding_of_start,
    coding_to_accept,
)
from sfm_server.packing import blocks_of, packed, unpacked
from sfm_server.problems import BodyTooLargeError, MalformedBodyError, UnsupportedMediaTypeError

PACKED = [Coding.GZIP, Coding.ZSTD]
TEXT = b"".join(b'{"coord": [%d], "payload": {"n": %d}}\n' % (n, n * n) for n in range(20_000))
NOISE = os.urandom(300_000)
_BOMB = 400 * 1024 * 1024


def pack(data: bytes, coding: Coding) -> bytes:
    return gzip.compress(data) if coding is Coding.GZIP else zstandard.compress(data)


def bomb(coding: Coding) -> bytes:
    """Return little that unpacks to 400 MiB of line ends."""
    block = b"\n" * (1024 * 1024)
    working: Packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    if coding is Coding.ZSTD:
        working = zstandard.ZstdCompressor(level=19).compressobj()
    parts = [working.compress(block) for _ in range(_BOMB // len(block))]
    return b"".join([*parts, working.flush()])


async def parts_of(data: bytes, size: int) -> AsyncGenerator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def whole(parts: AsyncGenerator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


@pytest.mark.parametrize("coding", Coding)
async def test_a_stream_comes_back_as_it_was(coding: Coding) -> None:
    there = await whole(packed(parts_of(TEXT, 50_000), coding))
    assert coding is Coding.NONE or len(there) < len(TEXT) / 4
    assert await whole(unpacked(parts_of(there, 7000), coding)) == TEXT


@pytest.mark.parametrize("coding", PACKED)
async def test_other_programs_understand_what_is_packed_here(coding: Coding) -> None:
    there = await whole(packed(parts_of(TEXT, 1000), coding))
    if coding is Coding.ZSTD:
        with zstandard.ZstdDecompressor().stream_reader(there) as reader:
            assert reader.readall() == TEXT
    else:
        assert gzip.decompress(there) == TEXT


@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("data", [b"", b"x", NOISE, TEXT], ids=["empty", "one", "noise", "text"])
@pytest.mark.parametrize("size", [1000, 1_000_000])
async def test_what_other_programs_pack_is_understood(
    coding: Coding, data: bytes, size: int
) -> None:
    assert await whole(unpacked(parts_of(pack(data, coding), size), coding)) == data


@pytest.mark.parametrize("coding", PACKED)
async def test_it_may_be_cut_anywhere(coding: Coding) -> None:
    there = pack(b"a line\nand another\n" * 3, coding)
    assert await whole(unpacked(parts_of(there, 1), coding)) == b"a line\nand another\n" * 3


@pytest.mark.parametrize("coding", PACKED)
async def test_several_frames_are_one_stream(coding: Coding) -> None:
    there = pack(b"one\n", coding) + pack(b"two\n", coding)
    for size in (1, 5, 1000):
        assert await whole(unpacked(parts_of(there, size), coding)) == b"one\ntwo\n"


@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
async def test_a_stream_that_was_cut_off_is_noticed(coding: Coding, kept: float) -> None:
    there = pack(NOISE, coding)
    with pytest.raises(MalformedBodyError):
        await whole(unpacked(parts_of(there[: int(len(there) * kept)], 10_000), coding))


@pytest.mark.parametrize("coding", PACKED)
async def test_what_is_not_packed_is_noticed(coding: Coding) -> None:
    with pytest.raises(MalformedBodyError):
        await whole(unpacked(parts_of(TEXT, 1000), coding))
    with pytest.raises(MalformedBodyError):
        await whole(unpacked(parts_of(pack(b"x", coding) + b"garbage", 1000), coding))


@pytest.mark.parametrize("coding", PACKED)
def test_a_bomb_is_stopped_early_and_comes_in_small_pieces(coding: Coding) -> None:
    working, data = Unpacker(coding), bomb(coding)
    pieces: list[int] = []
    with pytest.raises(BodyTooLargeError):
        pieces.extend(len(piece) for piece in working.feed(data))
    assert max(pieces) <= PIECE
    assert sum(pieces) <= RATIO_FREE_BYTES + MAX_RATIO * len(data)


def test_a_window_that_takes_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=24)
    working = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    there = working.compress(NOISE) + working.flush()
    with pytest.raises(MalformedBodyError):
        list(Unpacker(Coding.ZSTD).feed(there))


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (None, Coding.NONE),
        ("", Coding.NONE),
        ("br, deflate", Coding.NONE),
        ("gzip", Coding.GZIP),
        ("gzip, deflate, br, zstd", Coding.ZSTD),
        ("GZIP;q=1.0, zstd; q=0.5", Coding.GZIP),
        ("zstd;q=0, gzip;q=0.001", Coding.GZIP),
        ("gzip;q=0", Coding.NONE),
        ("zstd;q=often", Coding.NONE),
        ("*", Coding.NONE),
    ],
)
def test_an_answer_is_packed_as_is_wanted_most(header: str | None, coding: Coding) -> None:
    assert coding_to_accept(header) is coding


@pytest.mark.parametrize(
    ("header", "coding"),
    [(None, Coding.NONE), ("identity", Coding.NONE), ("x-gzip", Coding.GZIP), ("Zstd", "zstd")],
)
def test_a_body_says_how_it_is_packed(header: str | None, coding: Coding) -> None:
    assert coding_of_content(header) == coding


@pytest.mark.parametrize("header", ["br", "gzip, zstd", "deflate", "\x00"])
def test_other_codings_are_refused(header: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        coding_of_content(header)


def test_files_tell_by_name_and_by_their_first_bytes() -> None:
    names = ("a.jsonl", "a.jsonl.gz", "a.ZST")
    assert [coding_of_name(name) for name in names] == [Coding.NONE, *PACKED]
    starts = (b"", b'{"ki', pack(b"x", Coding.GZIP), pack(b"x", Coding.ZSTD))
    assert [coding_of_start(start[:4]) for start in starts] == [Coding.NONE, Coding.NONE, *PACKED]


async def test_blocks_hold_whole_lines() -> None:
    async def lines() -> AsyncGenerator[bytes]:
        for line in (b"one", b"two", b"three"):
            yield line

    assert [block async for block in blocks_of(lines(), size=5)] == [b"one\ntwo\n", b"three\n"]
