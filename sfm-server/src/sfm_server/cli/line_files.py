"""Files of JSON Lines that commands read and write, packed or not."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO, Protocol

from sfm_core.errors import StorageFullError
from sfm_server.codings import MAGIC_BYTES, Coding, coding_of_start, packer
from sfm_server.packing import split_lines, unpacked

_AT_ONCE = 256 * 1024
_LONGEST_LINE = 1 << 40
"""What is in the way of a line that is too long is the memory's limit, not the file's."""


class Output(Protocol):
    """Takes what is to be written."""

    def write(self, data: bytes, /) -> None:
        """Take more."""
        ...


class _PackedFile:
    def __init__(self, file: BinaryIO, coding: Coding) -> None:
        self._file = file
        self._packer = packer(coding)

    def write(self, data: bytes, /) -> None:
        self._file.write(self._packer.compress(data))

    def finish(self) -> None:
        self._file.write(self._packer.flush())
        self._file.flush()


@contextmanager
def output(file: str, coding: Coding) -> Generator[Output]:
    """Open a file that appears under its name only when it is whole, and on the disk.

    Only its owner may read it, unless it takes the place of one that others may read.

    Args:
        file: Its path, where a link is followed; "-" stands for standard output.
        coding: How to pack it.

    Yields:
        What takes its content.

    Raises:
        StorageFullError: It cannot be written.
    """
    if file == "-":
        packed = _PackedFile(sys.stdout.buffer, coding)
        yield packed
        packed.finish()
        return
    try:
        with _replacing(Path(file).resolve()) as out:
            packed = _PackedFile(out, coding)
            yield packed
            packed.finish()
    except OSError as error:
        raise StorageFullError(
            f"{file} cannot be written: {error.strerror or error}.",
            backend="file",
            remedy="Name a file in a folder that exists, with room left.",
        ) from error


@contextmanager
def _replacing(path: Path) -> Generator[BinaryIO]:
    """Open what replaces a plain file when it is whole; a pipe or device is written to as it is."""
    if path.exists() and not path.is_file():
        with path.open("wb") as out:
            yield out
        return
    # A name of its own each time: several may write the same file, and the last one stays.
    handle, name = mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    partial = Path(name)
    try:
        with open(handle, "wb") as out:  # noqa: PTH123 - an open descriptor
            yield out
            out.flush()
            if path.exists():
                partial.chmod(stat.S_IMODE(path.stat().st_mode))
            os.fsync(handle)
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()


async def lines_of(path: Path) -> AsyncGenerator[bytes]:
    """Read a file line by line, and unpack it if it begins like a packed one.

    Args:
        path: A file, or a device such as standard input.

    Yields:
        Lines without their ends.

    Raises:
        MalformedBodyError: It is packed, and damaged or cut off.
    """
    # Reading a part takes microseconds, and nothing else runs in this process meanwhile.
    with path.open("rb") as file:
        start = file.read(MAGIC_BYTES)
        parts = unpacked(_parts(start, file), coding_of_start(start))
        async for line in split_lines(parts, limit=_LONGEST_LINE):
            yield line


def count_lines(path: Path) -> int | None:
    """Return how many lines a file has; `None` where it would have to be unpacked for that."""
    count = 0
    with path.open("rb") as file:
        block = file.read(MAGIC_BYTES)
        if coding_of_start(block) is not Coding.NONE:
            return None
        while block:
            count += block.count(b"\n")
            block = file.read(_AT_ONCE)
    return count


async def _parts(start: bytes, file: BinaryIO) -> AsyncGenerator[bytes]:
    part = start
    while part:
        yield part
        part = file.read(_AT_ONCE)
