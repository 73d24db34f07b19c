"""What the worker process does with a call, and when there is none. Runs in it only."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from qdrant_edge import (
    QueryBatchRequest,
    ScoredPoint,
    UpdateOperation,
)

from sfm_backend_qdrant.edge import engine
from sfm_backend_qdrant.edge.errors import WorkerError
from sfm_backend_qdrant.edge.extending import Extension
from sfm_backend_qdrant.edge.locking import FolderLock
from sfm_backend_qdrant.edge.messages import (
    Asked,
    Call,
    Complete,
    Create,
    Delete,
    Dimension,
    Drop,
    EdgeFound,
    EdgePage,
    Maintain,
    Names,
    Query,
    Remains,
    Rewrite,
    Scroll,
    Start,
    Upsert,
)
from sfm_backend_qdrant.edge.shards import Shards

_IDLE_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.1


class Worker:
    """Everything that one worker process holds."""

    def __init__(self, start: Start) -> None:
        """Take the folder.

        Args:
            start: Which, and how it is kept.

        Raises:
            WorkerError: Another process has it.
        """
        folder = Path(start.folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder / "lock", start.wait_seconds)
        self._shards = Shards(folder / "collections", start)
        self._extension: Extension | None = None

    def answer(self, call: Call) -> object:
        """Do what is asked.

        Args:
            call: Anything but `Start`.

        Returns:
            What can be written in MessagePack.

        Raises:
            WorkerError: It cannot be done.
        """
        match call:
            case Upsert(name, points):
                self._settle(name)
                written = UpdateOperation.upsert_points([engine.point(each) for each in points])
                self._shards[name].write(written, [each.id for each in points])
            case Delete(name, ids):
                self._settle(name)
                self._shards[name].write(UpdateOperation.delete_points([*ids]), ids)
            case Query(name, asks):
                return self._query(name, asks)
            case Scroll():
                return self._scroll(call)
            case Maintain():
                self._flush()
            case Rewrite(name):
                return self._rewrite(name)
            case Remains(name, shard):
                return self._remains(name, shard)
            case _:
                return self._manage(call)
        return None

    def _manage(self, call: Call) -> object:
        match call:
            case Names():
                return self._shards.names()
            case Dimension(name):
                return self._shards.dimension(name)
            case Create(name, dimension, indexes):
                self._shards.create(name, dimension, indexes)
            case Complete(name, indexes):
                self._settle(name)
                self._shards[name].complete(indexes)
                return self._shards.dimension(name)
            case Drop(name):
                if self._extension is not None and self._extension.name == name:
                    self._cancel()
                self._shards.drop(name)
            case _:
                raise WorkerError("failed", f"Nobody asks for {type(call).__name__}.")
        return None

    def _rewrite(self, name: str) -> str:
        shard = self._shards[name]
        # A copy that was begun before has what is to go.
        self._cancel()
        self._extension = Extension(shard, anew=True)
        return shard.marker.shard

    def _remains(self, name: str, shard: str) -> bool:
        if self._extension is not None and self._extension.name == name:
            return True
        if self._shards.has(name, shard):
            raise WorkerError("failed", f"The collection {name} could not be written anew.")
        return False

    def pause(self) -> float | None:
        """Return after how many seconds without a call to `proceed`; `None` where nothing waits."""
        if self._extension is not None:
            return _POLL_SECONDS if self._extension.waiting else 0.0
        due = any(shard.dirty or shard.behind for shard in self._shards)
        return _IDLE_SECONDS if due else None

    def proceed(self) -> None:
        """Do a little of what nobody waits for."""
        if self._extension is None:
            self._flush()
        self.extend()

    def extend(self) -> None:
        """Go on extending a graph, or begin to where one has fallen behind."""
        try:
            if self._extension is not None:
                if self._extension.step():
                    self._extension = None
                return
            for shard in self._shards:
                if shard.behind:
                    self._extension = Extension(shard)
                    return
        except Exception as error:  # noqa: BLE001 - a graph that stays behind is slower, not wrong
            _report(f"The graph of a collection could not be extended: {error}")
            self._cancel()

    def close(self) -> None:
        """Write everything to the disk and leave the folder."""
        self._cancel()
        self._shards.close()
        self._lock.release()

    def _settle(self, name: str) -> None:
        if self._extension is not None and self._extension.name == name:
            self._extension.settle()

    def _cancel(self) -> None:
        extension, self._extension = self._extension, None
        if extension is not None:
            extension.cancel()

    def _flush(self) -> None:
        for shard in self._shards:
            shard.flush()

    def _query(self, name: str, asks: list[Asked]) -> list[list[list[EdgeFound]]]:
        requests = [request for ask in asks for request in engine.requests(ask)]
        answers = iter(self._shards[name].engine.query_batch(QueryBatchRequest(requests)))
        return [[list(map(_found, next(answers))) for _ in ask.arms] for ask in asks]

    def _scroll(self, scroll: Scroll) -> EdgePage:
        records, offset = self._shards[scroll.name].engine.scroll(engine.listing(scroll))
        points = [EdgeFound(str(record.id), record.payload or {}) for record in records]
        return EdgePage(points, None if offset is None else str(offset))


def _found(point: ScoredPoint) -> EdgeFound:
    return EdgeFound(str(point.id), point.payload or {}, point.score)


def _report(text: str) -> None:
    """Tell the operator."""
    sys.stderr.write(f"sfm_backend_qdrant: {text}\n")
    sys.stderr.flush()
