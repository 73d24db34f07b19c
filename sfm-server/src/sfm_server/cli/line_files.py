"""Files of JSON Lines that commands read and write, packed or not."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
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
    """Open a file that appears under its name only when it is whole.

    Args:
        file: Its path; "-" stands for standard output.
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
    path = Path(file)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as out:
            packed = _PackedFile(out, coding)
            yield packed
            packed.finish()
        partial.replace(path)
    except OSError as error:
        raise StorageFullError(
            f"{file} cannot be written: {error.strerror or error}.",
            backend="file",
            remedy="Name a file in a folder that exists, with room left.",
        ) from error
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
