"""The collections of one folder. Runs in the worker process only.

Each has a folder, in which `collection.json` tells the one beside it that holds
its shard. Whatever that does not name was left behind by somebody who did not
come to the end, and is removed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from qdrant_edge import EdgeShard, UpdateOperation

from sfm_backend_qdrant.edge import engine
from sfm_backend_qdrant.edge.messages import Index, Start

MARKER: Final = "collection.json"
FORMAT: Final = 1
_KILOBYTE: Final = 1024
_FLOAT_BYTES: Final = 4


class WorkerError(Exception):
    """A call cannot be answered.

    Attributes:
        kind: See `messages.Problem`.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


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


class Shard:
    """A collection that is open.

    Attributes:
        changed: Ids of the points that were written since a copy was taken; `None`
            while nobody copies.
        dirty: Whether the disk may have less than the log.
    """

    def __init__(self, folder: Path, tuning: Start) -> None:
        """Load it.

        Args:
            folder: Of the collection.
            tuning: When to extend its graph, and whether to wait for the disk.
        """
        self.folder = folder
        self.marker = read_marker(folder)
        _remove_others(folder, self.marker.shard)
        self.engine = EdgeShard.load(str(self.place))
        self.changed: set[str] | None = None
        self._tuning = tuning
        self._written = max(0, self.engine.info().points_count - self.marker.extended)
        self.dirty = False

    @property
    def place(self) -> Path:
        """Folder of the engine's files."""
        return self.folder / self.marker.shard

    @property
    def behind(self) -> bool:
        """Whether so much was written that the graph should be extended."""
        kilobyte = self.marker.dimension * _FLOAT_BYTES / _KILOBYTE
        written, whole = self._written * kilobyte, self.engine.info().points_count * kilobyte
        # Smaller ones have no graph, but what was deleted takes space there, too.
        step = self._tuning.step_kilobytes
        least = max(step, whole / 10) if whole > self._tuning.scan_kilobytes else 10 * step
        return written >= least

    def write(self, operation: UpdateOperation, ids: Sequence[str]) -> None:
        """Write points, or remove them.

        Args:
            operation: What to do.
            ids: The points that it is done to.
        """
        self.dirty = True
        self._written += len(ids)
        if self.changed is not None:
            self.changed.update(ids)
        self.engine.update(operation)
        if self._tuning.durable:
            _sync_log(self.place)

    def complete(self, indexes: dict[str, Index]) -> None:
        """Make those indexes that are not there.

        Args:
            indexes: All that should be, by field.
        """
        add_indexes(self.engine, indexes)

    def flush(self) -> None:
        """Write everything to the disk, if anything was written."""
        if self.dirty:
            self.engine.flush()
            self.dirty = False

    def switch(self, shard: str, engine_there: EdgeShard) -> None:
        """Go on with another shard that holds the same points, and remove this one.

        Args:
            shard: Name of its folder.
            engine_there: The shard, open and on the disk.
        """
        points = engine_there.info().points_count
        marker = Marker(dimension=self.marker.dimension, shard=shard, extended=points)
        write_marker(self.folder, marker)
        self.engine.close()
        self.engine, self.marker, self.changed, self._written = engine_there, marker, None, 0
        _remove_others(self.folder, shard)

    def give_up_extending(self) -> None:
        """Wait for as many writes as before until the next try."""
        self.changed = None
        self._written = 0

    def close(self) -> None:
        """Write everything to the disk and let go of it."""
        self.flush()
        self.engine.close()


class Shards:
    """All collections of a folder, each loaded when it is first needed."""

    def __init__(self, folder: Path, tuning: Start) -> None:
        """Keep where they are.

        Args:
            folder: Whose subfolders they are.
            tuning: How they are kept.
        """
        self._folder = folder
        self._tuning = tuning
        self._open: dict[str, Shard] = {}

    def __iter__(self) -> Iterator[Shard]:
        """Go through those that are open."""
        return iter(list(self._open.values()))

    def __getitem__(self, name: str) -> Shard:
        """Return a collection.

        Raises:
            WorkerError: There is none of that name.
        """
        if name not in self._open:
            self.dimension(name)
            self._open[name] = Shard(self._folder / name, self._tuning)
        return self._open[name]

    def names(self) -> list[str]:
        """List all."""
        return [each.parent.name for each in self._folder.glob(f"*/{MARKER}")]

    def dimension(self, name: str) -> int:
        """Return the length of a collection's vectors.

        Raises:
            WorkerError: There is none of that name.
        """
        if not (self._folder / name / MARKER).exists():
            raise WorkerError("missing", name)
        return read_marker(self._folder / name).dimension

    def create(self, name: str, dimension: int, indexes: dict[str, Index]) -> None:
        """Make a collection, which is there when it is complete.

        Raises:
            WorkerError: There is one of that name.
        """
        folder = self._folder / name
        if (folder / MARKER).exists():
            raise WorkerError("exists", name)
        marker = Marker(dimension=dimension, shard="0")
        _remove_others(folder, "")
        (folder / marker.shard).mkdir(parents=True)
        config = engine.config(
            dimension,
            scan_kilobytes=self._tuning.scan_kilobytes,
            step_kilobytes=self._tuning.step_kilobytes,
        )
        made = EdgeShard.create(str(folder / marker.shard), config)
        add_indexes(made, indexes)
        made.flush()
        made.close()
        write_marker(folder, marker)

    def drop(self, name: str) -> None:
        """Remove a collection; from its first step on, there is none."""
        shard = self._open.pop(name, None)
        (self._folder / name / MARKER).unlink(missing_ok=True)
        if shard is not None:
            shard.engine.close()
        shutil.rmtree(self._folder / name, ignore_errors=True)

    def close(self) -> None:
        """Write everything to the disk and let go of it."""
        while self._open:
            self._open.popitem()[1].close()


def add_indexes(shard: EdgeShard, indexes: dict[str, Index]) -> None:
    """Make those payload indexes that a shard does not have."""
    there = shard.info().payload_schema
    for field, index in indexes.items():
        if field not in there:
            shard.update(UpdateOperation.create_field_index(field, engine.schema(index)))


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


def _remove_others(folder: Path, shard: str) -> None:
    if folder.exists():
        for other in folder.iterdir():
            if other.is_dir() and other.name != shard:
                shutil.rmtree(other, ignore_errors=True)


def _sync_log(place: Path) -> None:
    """Wait until the disk has the log of a shard, from which the engine restores the rest."""
    for file in (place / "wal").iterdir():
        _sync(file)


def _sync(path: Path) -> None:
    # A folder cannot be opened on Windows, nor need it.
    if os.name == "nt" and path.is_dir():
        return
    opened = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
