"""Removing memories for good."""

from __future__ import annotations

from collections.abc import Sequence

from sfm_core.engine.operations.parts import Operations
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.precondition import Precondition
from sfm_core.model.purge import Purged


class Erasing(Operations):
    """Purges memories: content goes from every store, history included."""

    async def purge(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        expected_version: int | None = None,
        precondition: Precondition | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Purged:
        """Delete a memory, its links and its history, and have every store let go of them.

        It can be repeated, also for a memory that was deleted before: the report then
        tells how far it is by now. A report that came too late for its caller is kept
        for whoever asks again.

        Args:
            namespace: Where it lives, or lived.
            coordinate: Where it lives there.
            expected_version: Purge only this version.
            precondition: What must be so of it, where there is one.
            idempotency_key: Names this write, so that it happens once.

        Returns:
            For each store, what is gone and what remains. From here on it happens
            everywhere, also if a store is down or this process dies.

        Raises:
            VersionConflictError: It is not at `expected_version`.
            PreconditionFailedError: It is not as `precondition` demands.
            IdempotencyKeyReusedError: The key was given to another write.
        """
        return await self._parts.purging.purge(
            namespace,
            coordinate,
            expected_version,
            precondition=precondition,
            key=idempotency_key,
        )

    async def purge_many(
        self,
        namespace: str,
        coordinates: Sequence[Coordinate],
        *,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Purged:
        """Delete many memories with their history, and have every store let go of them.

        Args:
            namespace: Where they live, or lived.
            coordinates: Where they live there.
            idempotency_key: Names this write, so that it happens once.

        Returns:
            For each store, what is gone and what remains of them.

        Raises:
            LimitExceededError: More coordinates than one call may have; nothing was purged.
            IdempotencyKeyReusedError: The key was given to another write; nothing was purged.
        """
        return await self._parts.purging.purge_many(namespace, coordinates, idempotency_key)

    async def finish_purges(self, namespace: str) -> Purged:
        """Have every store let go of all that was purged, without waiting until it is time.

        Args:
            namespace: Where it was purged, not long ago: what all stores were gone over for
                a second time is not looked at any more.

        Returns:
            For each store, what is gone and what remains; of no memory it counts.

        Raises:
            BackendError: The truth did not answer; it is done later all the same.
        """
        return await self._parts.purging.finish(namespace)
