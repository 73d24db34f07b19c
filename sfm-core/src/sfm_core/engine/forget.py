"""Deleting memories, on request and when their time is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.expecting import expect_revision, expect_version
from sfm_core.engine.inputs import check_batch, check_expected, check_namespace
from sfm_core.engine.memory_commit import memory_commit
from sfm_core.engine.once import Once
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.engine.writer import Outcome, Writer
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import EventType
from sfm_core.model.filters import matches
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.keys import expired_range, expiring_coordinate, memory_key
from sfm_core.model.precondition import Precondition
from sfm_core.model.record import EMPTY_PAYLOAD, MemoryRecord
from sfm_core.model.report import Removed
from sfm_core.model.selection import Selection
from sfm_core.model.trace import TraceContext

SWEEP_PAGE = 500


class Forgetting:
    """Deletes memories."""

    def __init__(self, stores: Stores, truth: Truth, writer: Writer) -> None:
        """Write through `writer`."""
        self._stores = stores
        self._truth = truth
        self._writer = writer

    async def delete(
        self,
        namespace: str,
        coordinate: Coordinate,
        expected_version: int | None,
        *,
        precondition: Precondition | None = None,
        key: IdempotencyKey | None = None,
    ) -> Removed:
        """Delete one memory; see `MemoryEngine.delete`."""
        check_namespace(namespace)
        check_expected(expected_version)
        change = self.deletion(namespace, coordinate, expected_version, precondition=precondition)
        asked = ("delete", str(coordinate), expected_version, precondition)
        once = Once(self._stores, key, *asked)
        return self._writer.removed([await self._writer.write(once.write(change))])

    async def delete_many(
        self, namespace: str, coordinates: Sequence[Coordinate], key: IdempotencyKey | None
    ) -> Removed:
        """Delete many memories; see `MemoryEngine.delete_many`."""
        check_namespace(namespace)
        check_batch(coordinates, self._stores.settings.limits.max_batch, field="coords")
        once = Once(self._stores, key, "delete_many", *(map(str, coordinates) if key else ()))
        return await self._commit_all(
            [
                once.item(self.deletion(namespace, coordinate, None), at)
                for at, coordinate in enumerate(coordinates)
            ]
        )

    async def delete_picked(
        self,
        namespace: str,
        picked: Sequence[tuple[int, Coordinate]],
        selection: Selection,
        once: Once,
        *,
        purge: bool = False,
    ) -> Removed:
        """Delete those of some memories that a selection picks as they are then.

        Args:
            namespace: Where they live.
            picked: Where they live there, and which items of the write they are.
            selection: What picks them.
            once: The write.
            purge: Whether their history goes too.

        Returns:
            How many were deleted.

        Raises:
            BackendError: A backend failed; some may be deleted.
        """
        outcomes: list[Outcome] = []
        for start in range(0, len(picked), SWEEP_PAGE):
            outcomes += await self._writer.write_all(
                [
                    once.item(
                        self.deletion(namespace, one, None, purge=purge, selection=selection), item
                    )
                    for item, one in picked[start : start + SWEEP_PAGE]
                ]
            )
        return self._writer.removed(outcomes)

    async def sweep_expired(self, namespace: str) -> int:
        """Delete the memories of a namespace whose time is over.

        Args:
            namespace: Where to look.

        Returns:
            How many were deleted.

        Raises:
            BackendError: A backend failed; some may be deleted.
        """
        swept = 0
        while True:
            due = expired_range(self._stores.clock.now())
            [page] = await self._stores.kv.scan(namespace, [due], limit=SWEEP_PAGE)
            changes = [
                self.deletion(namespace, expiring_coordinate(key), None, expired_only=True)
                for key, _ in page
            ]
            deleted = (await self._commit_all(changes)).count
            swept += deleted
            if len(page) < SWEEP_PAGE or not deleted:
                return swept

    def picks(
        self, namespace: str, coordinate: Coordinate, record: MemoryRecord, selection: Selection
    ) -> bool:
        """Tell whether a selection picks a memory.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.
            record: What the truth says of it.
            selection: What may pick it.

        Returns:
            Whether it does; the payload is read only where that matters.

        Raises:
            CorruptDataError: The payload cannot be read.
        """
        if selection.type not in {None, record.type}:
            return False
        return selection.filter is None or matches(
            selection.filter, self._truth.payload(namespace, coordinate, record)
        )

    def deletion(
        self,
        namespace: str,
        coordinate: Coordinate,
        expected_version: int | None,
        *,
        expired_only: bool = False,
        purge: bool = False,
        precondition: Precondition | None = None,
        selection: Selection | None = None,
    ) -> Change:
        """Plan the deletion of a memory.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.
            expected_version: Delete only this version.
            expired_only: Whether to delete it only if its time is over.
            purge: Whether its history goes too, also that of one that was deleted before.
            precondition: What must be so of it.
            selection: Delete it only if this still picks it.

        Returns:
            A change that writes nothing where there is nothing to delete; it is refused with
            `VersionConflictError` or `PreconditionFailedError`.
        """
        key = memory_key(coordinate)
        trace = self._stores.observer.here()

        def plan(view: View) -> Planned:
            now = self._stores.clock.now()
            state = self._truth.memory_state(namespace, key, view[key])
            expect_version(coordinate, expected_version, state, now)
            record = state.record
            if record is None:
                return Planned(commit=None, version=0)
            dead = record.deleted or record.alive(now) == expired_only
            if record.purged >= state.version if purge else dead:
                return Planned(commit=None, version=0)
            if selection is not None and not self.picks(namespace, coordinate, record, selection):
                return Planned(commit=None, version=0)
            expect_revision(coordinate, precondition, state, now)
            settings = self._stores.settings
            version = state.version + 1
            commit = memory_commit(
                namespace,
                coordinate,
                state,
                _tombstone(record, version, now, purge=purge, trace=trace),
                history_limit=settings.history_limit,
                event=EventType.MEMORY_DELETED if settings.event_log else None,
            )
            return Planned(commit=commit, version=version)

        return Change(namespace=namespace, keys=(key,), plan=plan)

    async def _commit_all(self, changes: Sequence[Change]) -> Removed:
        return self._writer.removed(await self._writer.write_all(changes))


def _tombstone(
    record: MemoryRecord, version: int, now: datetime, *, purge: bool, trace: TraceContext | None
) -> MemoryRecord:
    return MemoryRecord(
        payload=EMPTY_PAYLOAD,
        type=record.type,
        created_at=record.created_at,
        updated_at=now,
        born=record.born,
        # Its name is content.
        episode=None if purge else record.episode,
        deleted=True,
        trace=trace,
        purged=version if purge else record.purged,
    )
