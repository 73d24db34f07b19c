"""Extends the graph of a shard beside it, or writes it anew. Runs in the worker process only.

The engine extends a graph in one call, during which it answers nothing else,
for seconds or minutes. So another process extends a copy. Meanwhile it is noted which
points are written; these are brought over, and the copy takes the shard's place.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Final
from uuid import uuid4

from qdrant_edge import EdgeShard, Point, UpdateOperation

from sfm_backend_qdrant.edge.copies import extend, rewrite
from sfm_backend_qdrant.edge.copying import copy_folder
from sfm_backend_qdrant.edge.disk import read_marker
from sfm_backend_qdrant.edge.shard import Shard

_SLICE: Final = 200
_PROGRAM: Final = """
import os, sys
sys.path[:] = {path!r}
if hasattr(os, "nice"):
    os.nice(10)
from sfm_backend_qdrant.edge.copies import extend, rewrite
{work}(*{arguments!r})
"""


class Extension:
    """One shard a copy of which is at work, to take its place."""

    def __init__(self, shard: Shard, *, anew: bool = False) -> None:
        """Begin to copy the shard.

        Args:
            shard: The shard. Until `settle` was called, nobody may write to it.
            anew: Whether the copy is to be free of what was removed or replaced.
        """
        self._anew = anew
        self._shard = shard
        # Somebody who was orphaned may still be at work in another folder.
        self._place = shard.place.with_name(uuid4().hex)
        self._copy: EdgeShard | None = None
        self._brought = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._removing: Future[None] | None = None
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="sfm-qdrant-copy")
        shard.flush()
        shard.changed = set()
        self._copying = self._threads.submit(copy_folder, shard.place, self._place)

    @property
    def name(self) -> str:
        """Name of the collection."""
        return self._shard.folder.name

    @property
    def waiting(self) -> bool:
        """Whether there is nothing to do before a thread, or the other process, is done."""
        if self._removing is not None:
            return not self._removing.done()
        if self._process is None:
            return not self._copying.done()
        return self._process.poll() is None

    def settle(self) -> None:
        """Wait until the shard may be written to."""
        wait([self._copying])

    def step(self) -> bool:
        """Do a little, if there is anything to do.

        Returns:
            Whether this was the last step.

        Raises:
            OSError: There is no room for the copy, or what it replaces cannot be removed.
            CalledProcessError: The other process has failed.
            SystemExit: Nobody knows which shard is the right one now.
        """
        if self.waiting:
            return False
        if self._removing is not None:
            self._removing.result()
            self._threads.shutdown()
            return True
        if self._process is None:
            self._copying.result()
            self._process = self._begin()
        elif self._process.returncode != 0:
            raise subprocess.CalledProcessError(self._process.returncode, "optimize")
        elif self._copy is None:
            self._copy = EdgeShard.load(str(self._place))
        else:
            self._go_on(self._copy)
        return False

    def cancel(self) -> None:
        """Give up; the shard stays as it is."""
        self.settle()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._copy is not None:
            self._copy.close()
        self._shard.give_up_extending()
        if read_marker(self._shard.folder).shard != self._place.name:
            shutil.rmtree(self._place, ignore_errors=True)
        self._threads.shutdown()

    def _begin(self) -> subprocess.Popen[bytes]:
        work = rewrite if self._anew else extend
        arguments = (str(self._place), *(self._shard.layout if self._anew else ()))
        program = _PROGRAM.format(path=sys.path, work=work.__name__, arguments=arguments)
        return subprocess.Popen(  # noqa: S603 - the program is the one above
            [sys.executable, "-I", "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def _go_on(self, copy: EdgeShard) -> None:
        changed = self._shard.changed or set()
        last = len(changed) <= _SLICE
        self._bring_over(copy, changed)
        if last:
            copy.flush()
            self._copy = None
            self._removing = self._threads.submit(shutil.rmtree, self._switch(copy))

    def _switch(self, copy: EdgeShard) -> Path:
        try:
            return self._shard.switch(self._place.name, copy, behind=self._brought)
        except Exception as error:
            # Either of the two has every point now. Which one is named on the disk, the next
            # worker will see; this one does not know.
            raise SystemExit(f"A graph could not be put to use: {error}") from error

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
        self._brought += len(ids)
