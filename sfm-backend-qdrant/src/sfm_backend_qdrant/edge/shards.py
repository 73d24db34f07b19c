"""The collections of one folder. Runs in the worker process only."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from qdrant_edge import EdgeShard

from sfm_backend_qdrant.edge import engine
from sfm_backend_qdrant.edge.disk import MARKER, Marker, read_marker, remove_others, write_marker
from sfm_backend_qdrant.edge.errors import WorkerError
from sfm_backend_qdrant.edge.messages import Index, Start
from sfm_backend_qdrant.edge.shard import Shard, add_indexes


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

    def has(self, name: str, shard: str) -> bool:
        """Tell whether the folder of a shard is there, in use or not."""
        return (self._folder / name / shard).exists()

    def create(self, name: str, dimension: int, indexes: dict[str, Index]) -> None:
        """Make a collection, which is there when it is complete.

        Raises:
            WorkerError: There is one of that name.
        """
        folder = self._folder / name
        if (folder / MARKER).exists():
            raise WorkerError("exists", name)
        marker = Marker(dimension=dimension, shard="0")
        remove_others(folder, "")
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
