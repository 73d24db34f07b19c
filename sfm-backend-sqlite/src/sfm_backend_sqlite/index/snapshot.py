"""Snapshots of an index: what was loaded once need not be read row by row at the next start.

A snapshot is a cache. It is only used for the very file, collection and
namespace that it was made from, only where its checksums hold, and only after
the change numbers in the file have shown which of its points still exist. One that
is foreign, damaged or ahead of the file is ignored.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec
import numpy as np
from numpy.typing import NDArray

FORMAT = 1
_MAGIC = b"SFM index\n"
_LENGTH_BYTES = 8
_LONGEST_HEADER = 1 << 20
_NEW = ".new"
_ABANDONED_SECONDS = 3_600
_Array = NDArray[np.generic]


class SnapshotError(Exception):
    """A snapshot cannot be used; the message says why."""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Where one array is in the file.

    Attributes:
        dtype: Type of its elements.
        shape: Its shape.
        checksum: CRC-32 of its bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    checksum: int


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot is of.

    Attributes:
        format: Edition of the file format.
        identity: Identity of the database file.
        collection: Number of the collection in it.
        namespace: Number of the namespace in it.
        position: Last change that is included.
        covered: Slots that the graph covers.
        sections: The arrays that follow, in order.
    """

    format: int = FORMAT
    identity: str
    collection: int
    namespace: int
    position: int
    covered: int
    sections: dict[str, Section]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Where in which file the points of an index are.

    Attributes:
        identity: Identity of the database file.
        collection: Number of the collection in it.
        namespace: Number of the namespace in it; 0 as long as it has none.
        purged: Tombstones of the collection up to this change are gone.
    """

    identity: str
    collection: int
    namespace: int
    purged: int = 0

    def path(self, folder: Path) -> Path:
        """Return the one file that may hold its snapshot."""
        return folder / f"{self.identity}-{self.collection}-{self.namespace}.index"


def write_snapshot(
    folder: Path,
    subject: Subject,
    *,
    position: int,
    covered: int,
    arrays: Mapping[str, _Array],
) -> None:
    """Replace the snapshot of a subject; a crash leaves the old one.

    Args:
        folder: Where snapshots are kept; made where it is missing.
        subject: What it is of.
        position: Last change that is included.
        covered: Slots that the graph covers.
        arrays: What it holds.

    Raises:
        OSError: It could not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header = Header(
        identity=subject.identity,
        collection=subject.collection,
        namespace=subject.namespace,
        position=position,
        covered=covered,
        sections={
            name: Section(dtype=array.dtype.str, shape=array.shape, checksum=zlib.crc32(array.data))
            for name, array in plain.items()
        },
    )
    encoded = msgspec.json.encode(header)
    target = subject.path(folder)
    _remove_abandoned(folder, target.stem)
    # Not synced: what a power cut damages, the checksums show.
    with NamedTemporaryFile(dir=folder, prefix=target.stem, suffix=_NEW, delete=False) as file:
        try:
            file.write(_MAGIC + len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded)
            for array in plain.values():
                file.write(array.data)
            file.flush()
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def remove_snapshots(folder: Path, identity: str, collection: int) -> None:
    """Remove the snapshots of a collection that is gone.

    Args:
        folder: Where snapshots are kept.
        identity: Identity of the database file.
        collection: Number of the collection in it.

    Raises:
        OSError: One could not be removed.
    """
    for path in folder.glob(f"{identity}-{collection}-*"):
        path.unlink(missing_ok=True)


def remove_unknown(folder: Path, identity: str, collections: frozenset[int]) -> None:
    """Remove the snapshots of collections that are not in the file any more.

    A process that still had one in memory may have written it after the collection was dropped.

    Args:
        folder: Where snapshots are kept.
        identity: Identity of the database file.
        collections: Numbers of the collections that are in it.

    Raises:
        OSError: One could not be removed.
    """
    for path in folder.glob(f"{identity}-*"):
        number = path.name.removeprefix(f"{identity}-").partition("-")[0]
        if number.isdecimal() and int(number) not in collections:
            path.unlink(missing_ok=True)


def remove_outdated(folder: Path, subject: Subject) -> None:
    """Remove what has what was purged from the file since: a snapshot, or one that was begun.

    Args:
        folder: Where snapshots are kept.
        subject: What it is of, with the change up to which tombstones are gone.

    Raises:
        OSError: One could not be removed.
    """
    path = subject.path(folder)
    for each in (path, *folder.glob(f"{path.stem}*{_NEW}")):
        try:
            header = _read_header(each)
        except FileNotFoundError:
            continue
        except msgspec.MsgspecError:
            each.unlink(missing_ok=True)
            continue
        made_of = (header.collection, header.namespace)
        # The names of those that were begun do not tell namespace 1 from 12.
        if made_of == (subject.collection, subject.namespace) and header.position < subject.purged:
            each.unlink(missing_ok=True)


def read_snapshot(folder: Path, subject: Subject) -> tuple[Header, dict[str, _Array]] | None:
    """Read the snapshot of a subject.

    Args:
        folder: Where snapshots are kept.
        subject: What it must be of.

    Returns:
        Header and arrays, or `None` where there is none.

    Raises:
        SnapshotError: It is damaged or of something else.
        OSError: It could not be read.
    """
    try:
        content = memoryview(subject.path(folder).read_bytes())
    except FileNotFoundError:
        return None
    start = len(_MAGIC) + _LENGTH_BYTES
    if bytes(content[: len(_MAGIC)]) != _MAGIC:
        message = "it is no snapshot"
        raise SnapshotError(message)
    end = start + int.from_bytes(content[len(_MAGIC) : start], "big")
    try:
        header = msgspec.json.decode(content[start:end], type=Header)
    except msgspec.MsgspecError as error:
        message = "its header is damaged"
        raise SnapshotError(message) from error
    made_of = (header.format, header.identity, header.collection, header.namespace)
    if made_of != (FORMAT, subject.identity, subject.collection, subject.namespace):
        message = "it is of another format, file or namespace"
        raise SnapshotError(message)
    return header, _read_sections(header, content[end:])


def _read_header(path: Path) -> Header:
    with path.open("rb") as file:
        start = file.read(len(_MAGIC) + _LENGTH_BYTES)
        length = int.from_bytes(start[len(_MAGIC) :], "big")
        return msgspec.json.decode(file.read(min(length, _LONGEST_HEADER)), type=Header)


def _remove_abandoned(folder: Path, stem: str) -> None:
    """Remove what a process left behind that was killed while it wrote."""
    for path in folder.glob(f"{stem}*{_NEW}"):
        if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
            path.unlink(missing_ok=True)


def _read_sections(header: Header, content: memoryview) -> dict[str, _Array]:
    arrays: dict[str, _Array] = {}
    start = 0
    for name, section in header.sections.items():
        dtype = np.dtype(section.dtype)
        part = content[start : start + dtype.itemsize * int(np.prod(section.shape))]
        if zlib.crc32(part) != section.checksum:
            message = f"its section {name} is damaged"
            raise SnapshotError(message)
        arrays[name] = np.frombuffer(part, dtype).reshape(section.shape)
        start += len(part)
    return arrays
