"""Counting how often memories are read, without a write per read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.committer import Committer
from sfm_core.engine.inputs import check_namespace
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.errors import SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import access_key, memory_key
from sfm_core.model.memory import AccessStatistics
from sfm_core.model.record import encode_record
from sfm_core.protocols.kv import Commit, Write

MAX_PENDING = 100_000
PAGE = 100
"""Memories whose reads are added by one commit; planning it takes a millisecond."""


class _Reads(NamedTuple):
    """How often a memory was read since the last flush, and when last."""

    coordinate: Coordinate
    times: int
    at: datetime


class AccessRecorder:
    """Collects reads in memory and adds them to the truth from time to time."""

    def __init__(self, stores: Stores, truth: Truth, committer: Committer) -> None:
        """Flush through `committer`."""
        self._stores = stores
        self._truth = truth
        self._committer = committer
        self._pending: dict[tuple[str, Coordinate], tuple[int, datetime]] = {}

    def touch(self, namespace: str, coordinates: Iterable[Coordinate]) -> None:
        """Count a read of memories; takes effect at the next flush.

        Past `MAX_PENDING` memories between two flushes the rest is not counted.
        """
        if not self._stores.settings.track_access:
            return
        now = self._stores.clock.now()
        for coordinate in coordinates:
            slot = (namespace, coordinate)
            if slot in self._pending or len(self._pending) < MAX_PENDING:
                count, _ = self._pending.get(slot, (0, now))
                self._pending[slot] = (count + 1, now)

    async def flush(self) -> None:
        """Add what was collected to the truth; what cannot be added is collected again.

        Raises:
            BackendError: The truth did not answer, or holds something that cannot be read.
        """
        pending, self._pending = self._pending, {}
        todo = deque(_pages(pending))
        failure: SfmError | None = None
        try:
            while todo:
                namespace, reads = todo.popleft()
                try:
                    await self._committer.commit(self._addition(namespace, reads))
                except SfmError as error:
                    if error.retryable:
                        todo.appendleft((namespace, reads))
                        raise
                    # One memory that cannot be read must not keep the others from being counted.
                    half = len(reads) // 2
                    if half:
                        todo.extendleft([(namespace, reads[half:]), (namespace, reads[:half])])
                    else:
                        self._collect_again(namespace, reads)
                        failure = error
        finally:
            for namespace, reads in todo:
                self._collect_again(namespace, reads)
        if failure is not None:
            raise failure

    def _collect_again(self, namespace: str, reads: Sequence[_Reads]) -> None:
        for coordinate, times, at in reads:
            more, latest = self._pending.get((namespace, coordinate), (0, at))
            self._pending[namespace, coordinate] = (times + more, latest)

    async def statistics(self, namespace: str, coordinate: Coordinate) -> AccessStatistics:
        """Read how often a memory was read, up to this moment.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.

        Returns:
            What the truth holds, plus what this process has not flushed yet;
            all zero where there is no memory.

        Raises:
            BackendError: The truth did not answer.
        """
        check_namespace(namespace)
        key, memory = access_key(coordinate), memory_key(coordinate)
        entry, current = await self._stores.kv.get_many(namespace, [key, memory])
        record = self._truth.memory_state(namespace, memory, current).record
        if record is None or not record.alive(self._stores.clock.now()):
            return AccessStatistics()
        kept = self._truth.access(namespace, key, entry)
        count, at = self._pending.get((namespace, coordinate), (0, None))
        if at is None or at < record.created_at:
            return kept
        return AccessStatistics(count=kept.count + count, last_accessed_at=at)

    def _addition(self, namespace: str, reads: Sequence[_Reads]) -> Change:
        keys = [(access_key(each.coordinate), memory_key(each.coordinate)) for each in reads]

        def plan(view: View) -> Planned:
            writes = [
                write
                for (access, memory), each in zip(keys, reads, strict=True)
                if (write := self._write(namespace, access, memory, each, view)) is not None
            ]
            commit = Commit(namespace=namespace, writes=tuple(writes)) if writes else None
            return Planned(commit=commit, version=0)

        return Change(
            namespace=namespace, keys=tuple(key for pair in keys for key in pair), plan=plan
        )

    def _write(
        self, namespace: str, access: bytes, memory: bytes, reads: _Reads, view: View
    ) -> Write | None:
        record = self._truth.memory_state(namespace, memory, view[memory]).record
        if record is None or record.deleted or reads.at < record.created_at:
            # What was read is gone; the memory that lives there now was not read.
            return None
        entry = view[access]
        kept = self._truth.access(namespace, access, entry)
        total = AccessStatistics(
            count=kept.count + reads.times,
            last_accessed_at=max(reads.at, kept.last_accessed_at or reads.at),
        )
        return Write(access, encode_record(total), entry.version + 1 if entry else 1)


def _pages(
    pending: Mapping[tuple[str, Coordinate], tuple[int, datetime]],
) -> Iterator[tuple[str, list[_Reads]]]:
    by_namespace: dict[str, list[_Reads]] = {}
    for (namespace, coordinate), (count, at) in pending.items():
        by_namespace.setdefault(namespace, []).append(_Reads(coordinate, count, at))
    for namespace, reads in by_namespace.items():
        for start in range(0, len(reads), PAGE):
            yield namespace, reads[start : start + PAGE]
