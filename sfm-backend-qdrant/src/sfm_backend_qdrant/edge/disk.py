"""Where a collection's files are, and that the disk has them. Runs in the worker process only.

Each collection has a folder, in which `collection.json` tells the one beside it that
holds its shard. Whatever that does not name was left behind by somebody who did
not come to the end, and is removed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from sfm_backend_qdrant.edge.errors import WorkerError

MARKER: Final = "collection.json"
FORMAT: Final = 1


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection says of itself.

    Attributes:
        format: How its folder is laid out.
        dimension: Length of its vectors.
        shard: Name of the folder that holds them.
        extended: How many points there were when its graph was last extended.
    """

    format: int = FORMAT
    dimension: int
    shard: str
    extended: int = 0


def read_marker(folder: Path) -> Marker:
    """Return what a collection says of itself.

    Raises:
        WorkerError: It is not written in a way that is known here.
    """
    try:
        marker = msgspec.json.decode((folder / MARKER).read_bytes(), type=Marker)
    except msgspec.DecodeError as error:
        raise WorkerError("corrupt", f"{folder / MARKER}: {error}") from error
    if marker.format != FORMAT:
        raise WorkerError("corrupt", f"{folder / MARKER} is of a later version.")
    return marker


def write_marker(folder: Path, marker: Marker) -> None:
    """Replace what a collection says of itself, at once and on the disk."""
    draft = folder / f"{MARKER}.new"
    with draft.open("wb") as file:
        file.write(msgspec.json.encode(marker))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / MARKER)
    _sync(folder)


def remove_others(folder: Path, shard: str) -> None:
    """Remove what is in the folder of a collection beside its shard.

    Args:
        folder: Of the collection.
        shard: Name of the folder to keep.
    """
    if folder.exists():
        for other in folder.iterdir():
            if other.is_dir() and other.name != shard:
                shutil.rmtree(other, ignore_errors=True)


def sync_log(place: Path) -> None:
    """Wait until the disk has the log of a shard, from which the engine restores the rest."""
    log = place / "wal"
    for file in log.iterdir():
        _sync(file)
    _sync(log)


def _sync(path: Path) -> None:
    # A folder cannot be opened on Windows, nor need it.
    if os.name == "nt" and path.is_dir():
        return
    opened = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
