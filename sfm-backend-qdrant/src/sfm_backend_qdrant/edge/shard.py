"""One collection that is open. Runs in the worker process only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from qdrant_edge import EdgeShard, UpdateOperation

from sfm_backend_qdrant.edge import engine
from sfm_backend_qdrant.edge.disk import (
    Marker,
    read_marker,
    remove_others,
    sync_log,
    write_marker,
)
from sfm_backend_qdrant.edge.messages import Index, Start

_KILOBYTE: Final = 1024
_FLOAT_BYTES: Final = 4


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
        remove_others(folder, self.marker.shard)
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
    def layout(self) -> tuple[int, int, int]:
        """Its dimension, and when its graph is used and extended; see `engine.config`."""
        tuning = self._tuning
        return self.marker.dimension, tuning.scan_kilobytes, tuning.step_kilobytes

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
            sync_log(self.place)

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

    def switch(self, shard: str, engine_there: EdgeShard, *, behind: int) -> Path:
        """Go on with another shard that holds the same points.

        Args:
            shard: Name of its folder.
            engine_there: The shard, open and on the disk.
            behind: How many of its points were written after its graph was extended.

        Returns:
            The folder that is no longer needed.
        """
        extended = max(0, engine_there.info().points_count - behind)
        marker = Marker(dimension=self.marker.dimension, shard=shard, extended=extended)
        write_marker(self.folder, marker)
        before, place = self.engine, self.place
        self.engine, self.marker, self.changed = engine_there, marker, None
        self._written = behind
        before.close()
        return place

    def give_up_extending(self) -> None:
        """Wait for as many writes as before until the next try."""
        self.changed = None
        self._written = 0

    def close(self) -> None:
        """Write everything to the disk and let go of it."""
        self.flush()
        self.engine.close()


def add_indexes(shard: EdgeShard, indexes: dict[str, Index]) -> None:
    """Make those payload indexes that a shard does not have."""
    there = shard.info().payload_schema
    for field, index in indexes.items():
        if field not in there:
            shard.update(UpdateOperation.create_field_index(field, engine.schema(index)))
