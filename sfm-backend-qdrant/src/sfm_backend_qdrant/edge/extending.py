"""Extends the graph of a shard beside it. Runs in the worker process only.

The engine extends a graph in one call, during which it answers nothing else,
for seconds or minutes. So another process extends a copy. Meanwhile it is noted which
points are written; these are brought over, and the copy takes the shard's place.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import islice
from typing import Final
from uuid import uuid4

from qdrant_edge import EdgeShard, Point, UpdateOperation

from sfm_backend_qdrant.edge.copying import copy_folder
from sfm_backend_qdrant.edge.shard import Shard

_SLICE: Final = 200
_PROGRAM: Final = """
import os, sys
sys.path[:] = {path!r}
if hasattr(os, "nice"):
    os.nice(10)
from qdrant_edge import EdgeShard
shard = EdgeShard.load({place!r})
shard.optimize()
shard.flush()
shard.close()
"""


class Extension:
    """One shard whose graph is being extended."""

    def __init__(self, shard: Shard) -> None:
        """Copy the shard and begin.

        Args:
            shard: The shard.

        Raises:
            OSError: There is no room for the copy.
        """
        self._shard = shard
        # Somebody who was orphaned may still be at work in another folder.
        self._place = shard.place.with_name(uuid4().hex)
        try:
            shard.flush()
            copy_folder(shard.place, self._place)
        except BaseException:
            shard.give_up_extending()
            shutil.rmtree(self._place, ignore_errors=True)
            raise
        shard.changed = set()
        program = _PROGRAM.format(path=sys.path, place=str(self._place))
        self._process = subprocess.Popen(  # noqa: S603 - the program is the one above
            [sys.executable, "-I", "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self._copy: EdgeShard | None = None

    @property
    def name(self) -> str:
        """Name of the collection."""
        return self._shard.folder.name

    def step(self) -> bool:
        """Do a little, if there is anything to do.

        Returns:
            Whether this was the last step.
        """
        status = self._process.poll()
        if status is None:
            return False
        if status != 0:
            self.cancel()
            return True
        if self._copy is None:
            self._copy = EdgeShard.load(str(self._place))
            return False
        changed = self._shard.changed or set()
        if len(changed) > _SLICE:
            self._bring_over(self._copy, changed)
            return False
        self._bring_over(self._copy, changed)
        self._copy.flush()
        self._shard.switch(self._place.name, self._copy)
        return True

    @property
    def waiting(self) -> bool:
        """Whether there is nothing to do before the other process has ended."""
        return self._process.poll() is None

    def cancel(self) -> None:
        """Give up; the shard stays as it is."""
        self._process.kill()
        self._process.wait()
        if self._shard.place == self._place:
            return
        if self._copy is not None:
            self._copy.close()
        self._shard.give_up_extending()
        shutil.rmtree(self._place, ignore_errors=True)

    def _bring_over(self, copy: EdgeShard, changed: set[str]) -> None:
        ids = list(islice(changed, _SLICE))
        records = self._shard.engine.retrieve([*ids], True, True)  # noqa: FBT003 - the engine takes no names
        points = [Point(record.id, record.vector or {}, record.payload) for record in records]
        gone = set(ids) - {str(record.id) for record in records}
        if points:
            copy.update(UpdateOperation.upsert_points(points))
        if gone:
            copy.update(UpdateOperation.delete_points([*gone]))
        changed.difference_update(ids)
