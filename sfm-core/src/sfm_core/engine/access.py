"""Counting how often memories are read, without a write per read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sfm_core.engine.committer import Change, Committer, Planned, View
from sfm_core.engine.inputs import check_namespace
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import access_key, memory_key
from sfm_core.model.memory import AccessStatistics
from sfm_core.model.record import encode_record
from sfm_core.protocols.kv import Commit, Write

MAX_PENDING = 100_000


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
            BackendError: The truth did not answer.
        """
        pending, self._pending = self._pending, {}
        changes = [
            self._addition(namespace, coordinate, count, at)
            for (namespace, coordinate), (count, at) in pending.items()
        ]
        results = await self._committer.commit_many(changes)
        failure: BaseException | None = None
        for (slot, (count, at)), result in zip(pending.items(), results, strict=True):
            if isinstance(result, BaseException):
                failure = result
                more, _ = self._pending.get(slot, (0, at))
                self._pending[slot] = (count + more, at)
        if failure is not None:
            raise failure

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

    def _addition(self, namespace: str, coordinate: Coordinate, count: int, at: datetime) -> Change:
        key, memory = access_key(coordinate), memory_key(coordinate)

        def plan(view: View) -> Planned:
            record = self._truth.memory_state(namespace, memory, view[memory]).record
            if record is None or record.deleted or at < record.created_at:
                # What was read is gone; the memory that lives there now was not read.
                return Planned(commit=None, version=0)
            entry = view[key]
            kept = self._truth.access(namespace, key, entry)
            version = entry.version + 1 if entry else 1
            last = max(at, kept.last_accessed_at or at)
            value = encode_record(AccessStatistics(count=kept.count + count, last_accessed_at=last))
            commit = Commit(namespace=namespace, writes=(Write(key, value, version),))
            return Planned(commit=commit, version=version)

        return Change(namespace=namespace, keys=(key, memory), plan=plan)
