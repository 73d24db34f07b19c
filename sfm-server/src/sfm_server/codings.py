"""Content codings: gzip and zstd, packed and unpacked part by part in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Generator
from enum import StrEnum
from typing import Protocol, cast

import zstandard

from sfm_server.problems import (
    BodyTooLargeError,
    MalformedBodyError,
    UnsupportedMediaTypeError,
)

PIECE = 256 * 1024
MAX_RATIO = 200
RATIO_FREE_BYTES = 16 * 1024 * 1024
"""As much may come out of anything; only beyond it the ratio counts."""

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3
_ZSTD_WINDOW = 8 * 1024 * 1024


class Coding(StrEnum):
    """How a stream is packed."""

    NONE = "identity"
    GZIP = "gzip"
    ZSTD = "zstd"


_SLICES = {Coding.GZIP: 8192, Coding.ZSTD: 256}
"""Bytes to unpack at once, so that no more than 8 MiB come out.

gzip makes at most 1032 bytes of one; a block of zstd takes 4 bytes at least and gives 128 KiB.
"""
_SUFFIXES = {".gz": Coding.GZIP, ".zst": Coding.ZSTD}
_MAGIC = {b"\x1f\x8b": Coding.GZIP, b"\x28\xb5\x2f\xfd": Coding.ZSTD}
MAGIC_BYTES = max(map(len, _MAGIC))


class Packer(Protocol):
    """Packs what it is given, keeping some of it back."""

    def compress(self, data: bytes, /) -> bytes:
        """Take more, and return what is ready."""
        ...

    def flush(self) -> bytes:
        """Return the rest."""
        ...


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: memoryview, /) -> bytes: ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def packer(coding: Coding) -> Packer:
    """Return what packs one stream."""
    if coding is Coding.GZIP:
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
    if coding is Coding.ZSTD:
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
    return _Plain()


class Unpacker:
    """Unpacks one stream, and refuses one that grows beyond measure."""

    def __init__(self, coding: Coding) -> None:
        """Begin a stream."""
        self._coding = coding
        self._decoder = self._begin()
        self._taken = 0
        self._given = 0

    def feed(self, data: bytes) -> Generator[bytes]:
        """Unpack the next part.

        Args:
            data: Packed bytes.

        Yields:
            What is in them, in pieces of `PIECE` at most.

        Raises:
            MalformedBodyError: It is not packed like that.
            BodyTooLargeError: It grows to more than `MAX_RATIO` times its size.
        """
        self._taken += len(data)
        if self._coding is Coding.NONE:
            yield data
            return
        try:
            for piece in self._pieces(data):
                self._given += len(piece)
                if self._given > RATIO_FREE_BYTES + MAX_RATIO * self._taken:
                    raise BodyTooLargeError(
                        f"The body grows to more than {MAX_RATIO} times its size.",
                        remedy="Send it with another Content-Encoding, or none.",
                    )
                for start in range(0, len(piece), PIECE):
                    yield piece[start : start + PIECE]
        except (zlib.error, zstandard.ZstdError) as error:
            raise MalformedBodyError(
                f"The body is not {self._coding}: {error}.",
                remedy="Send what Content-Encoding says, whole and as it was packed.",
            ) from error

    def finish(self) -> None:
        """See that the stream has come to its end.

        Raises:
            MalformedBodyError: It was cut off.
        """
        if self._coding is not Coding.NONE and not (self._fresh and self._taken):
            raise MalformedBodyError(
                f"The body ends before what is packed as {self._coding} does.",
                remedy="Send all of it again.",
            )

    def _begin(self) -> _Decoder:
        self._fresh = True
        if self._coding is Coding.ZSTD:
            working = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
            # Its types leave out that it tells when it has come to the end of a frame.
            return cast(_Decoder, working)
        return zlib.decompressobj(_GZIP)

    def _pieces(self, data: bytes) -> Generator[bytes]:
        """Unpack one frame after the other, of which a stream may have several."""
        view, at = memoryview(data), 0
        while at < len(view):
            self._fresh = False
            part = view[at : at + _SLICES[self._coding]]
            at += len(part)
            yield self._decoder.decompress(part)
            if self._decoder.eof:
                at -= len(self._decoder.unused_data)
                self._decoder = self._begin()


def coding_of_content(header: str | None) -> Coding:
    """Return how a body is packed.

    Args:
        header: Value of `Content-Encoding`, if there is one.

    Returns:
        The coding.

    Raises:
        UnsupportedMediaTypeError: It is another one, or several.
    """
    name = (header or "").strip().lower()
    known = {"": Coding.NONE, "x-gzip": Coding.GZIP, **{one.value: one for one in Coding}}
    if name not in known:
        raise UnsupportedMediaTypeError(
            f"The body is packed as {name[:80]}.",
            remedy="Send it as it is, or with `Content-Encoding: gzip` or `zstd`.",
        )
    return known[name]


def coding_to_accept(header: str | None) -> Coding:
    """Return how to pack an answer: of what is accepted most, the one that packs best.

    Args:
        header: Value of `Accept-Encoding`, if there is one.

    Returns:
        A coding that the header names, or none.
    """
    weights = dict(_weights(header or ""))
    named = [one for one in (Coding.ZSTD, Coding.GZIP) if weights.get(one, 0) > 0]
    return max(named, key=lambda one: weights[one], default=Coding.NONE)


def coding_of_name(name: str) -> Coding:
    """Return how a file is packed by the end of its name."""
    for suffix, coding in _SUFFIXES.items():
        if name.lower().endswith(suffix):
            return coding
    return Coding.NONE


def coding_of_start(start: bytes) -> Coding:
    """Return how a file is packed by its first `MAGIC_BYTES` bytes; no line begins so."""
    for magic, coding in _MAGIC.items():
        if start.startswith(magic):
            return coding
    return Coding.NONE


def _weights(header: str) -> Generator[tuple[str, float]]:
    for part in header.lower().split(","):
        name, _, parameters = part.partition(";")
        weight = parameters.strip().removeprefix("q=") if parameters else "1"
        try:
            yield name.strip(), float(weight)
        except ValueError:
            # Whatever that means, it does not mean that it is wanted.
            continue
