"""What the blocking facade writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sfm_core.blocking.calls import BlockingCalls
from sfm_core.engine.clearing import MAX_EXAMINED
from sfm_core.errors import SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.link import DEFAULT_LINK_TYPE, Link
from sfm_core.model.memory import Episode, MemoryType, NewMemory
from sfm_core.model.patch import MemoryPatch
from sfm_core.model.payload import Payload
from sfm_core.model.precondition import Precondition
from sfm_core.model.purge import Purged
from sfm_core.model.report import Cleared, Removed, Stored
from sfm_core.model.selection import Selection


class BlockingWriting(BlockingCalls):
    """Stores, changes, deletes and links memories; every method waits for its answer."""

    def store(
        self,
        namespace: str,
        memory: NewMemory,
        *,
        precondition: Precondition | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Stored:
        """See `MemoryEngine.store`."""
        return self._call(
            lambda engine: engine.store(
                namespace, memory, precondition=precondition, idempotency_key=idempotency_key
            )
        )

    def store_many(
        self,
        namespace: str,
        memories: Sequence[NewMemory],
        *,
        idempotency_key: IdempotencyKey | None = None,
    ) -> list[Stored | SfmError]:
        """See `MemoryEngine.store_many`."""
        return self._call(
            lambda engine: engine.store_many(namespace, memories, idempotency_key=idempotency_key)
        )

    def remember(
        self,
        namespace: str,
        payload: Payload,
        *,
        type: MemoryType = MemoryType.EPISODIC,
        importance: float | None = None,
        ttl: timedelta | None = None,
        episode: Episode | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Stored:
        """See `MemoryEngine.remember`."""
        return self._call(
            lambda engine: engine.remember(
                namespace,
                payload,
                type=type,
                importance=importance,
                ttl=ttl,
                episode=episode,
                idempotency_key=idempotency_key,
            )
        )

    def delete(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        expected_version: int | None = None,
        precondition: Precondition | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Removed:
        """See `MemoryEngine.delete`."""
        return self._call(
            lambda engine: engine.delete(
                namespace,
                coordinate,
                expected_version=expected_version,
                precondition=precondition,
                idempotency_key=idempotency_key,
            )
        )

    def delete_many(
        self,
        namespace: str,
        coordinates: Sequence[Coordinate],
        *,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Removed:
        """See `MemoryEngine.delete_many`."""
        return self._call(
            lambda engine: engine.delete_many(
                namespace, coordinates, idempotency_key=idempotency_key
            )
        )

    def delete_matching(
        self,
        namespace: str,
        selection: Selection,
        *,
        after: Coordinate | None = None,
        limit: int = MAX_EXAMINED,
        dry_run: bool = False,
        purge: bool = False,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Cleared:
        """See `MemoryEngine.delete_matching`."""
        return self._call(
            lambda engine: engine.delete_matching(
                namespace,
                selection,
                after=after,
                limit=limit,
                dry_run=dry_run,
                purge=purge,
                idempotency_key=idempotency_key,
            )
        )

    def purge(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        expected_version: int | None = None,
        precondition: Precondition | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Purged:
        """See `MemoryEngine.purge`."""
        return self._call(
            lambda engine: engine.purge(
                namespace,
                coordinate,
                expected_version=expected_version,
                precondition=precondition,
                idempotency_key=idempotency_key,
            )
        )

    def purge_many(
        self,
        namespace: str,
        coordinates: Sequence[Coordinate],
        *,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Purged:
        """See `MemoryEngine.purge_many`."""
        return self._call(
            lambda engine: engine.purge_many(
                namespace, coordinates, idempotency_key=idempotency_key
            )
        )

    def finish_purges(self, namespace: str) -> Purged:
        """See `MemoryEngine.finish_purges`."""
        return self._call(lambda engine: engine.finish_purges(namespace))

    def update(
        self,
        namespace: str,
        coordinate: Coordinate,
        patch: MemoryPatch,
        *,
        expected_version: int | None = None,
        precondition: Precondition | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Stored:
        """See `MemoryEngine.update`."""
        return self._call(
            lambda engine: engine.update(
                namespace,
                coordinate,
                patch,
                expected_version=expected_version,
                precondition=precondition,
                idempotency_key=idempotency_key,
            )
        )

    def set_importance(
        self,
        namespace: str,
        coordinate: Coordinate,
        importance: float,
        *,
        expected_version: int | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Stored:
        """See `MemoryEngine.set_importance`."""
        return self._call(
            lambda engine: engine.set_importance(
                namespace,
                coordinate,
                importance,
                expected_version=expected_version,
                idempotency_key=idempotency_key,
            )
        )

    def link(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        type: str = DEFAULT_LINK_TYPE,
        weight: float = 1.0,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Link:
        """See `MemoryEngine.link`."""
        return self._call(
            lambda engine: engine.link(
                namespace,
                source,
                target,
                type=type,
                weight=weight,
                idempotency_key=idempotency_key,
            )
        )

    def unlink(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        type: str = DEFAULT_LINK_TYPE,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Removed:
        """See `MemoryEngine.unlink`."""
        return self._call(
            lambda engine: engine.unlink(
                namespace, source, target, type=type, idempotency_key=idempotency_key
            )
        )
