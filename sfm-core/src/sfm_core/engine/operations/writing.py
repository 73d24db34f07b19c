"""Storing and deleting memories."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sfm_core.engine.clearing import MAX_EXAMINED
from sfm_core.engine.operations.parts import Operations
from sfm_core.errors import SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.memory import Episode, MemoryType, NewMemory
from sfm_core.model.patch import MemoryPatch
from sfm_core.model.payload import Payload
from sfm_core.model.precondition import Precondition
from sfm_core.model.report import Cleared, Removed, Stored
from sfm_core.model.selection import Selection

_ANYWHERE = Coordinate((0.0,))


class Writing(Operations):
    """Stores and deletes memories."""

    async def store(
        self,
        namespace: str,
        memory: NewMemory,
        *,
        precondition: Precondition | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Stored:
        """Store a memory, replacing the one at its coordinate.

        Args:
            namespace: Where it is to live.
            memory: What to store.
            precondition: What must be so of the one that is there.
            idempotency_key: Names this write: repeated with the same key, it answers
                what it has answered, and does not happen again.

        Returns:
            The version that was written. From here on it is not lost.

        Raises:
            InvalidInputError: A value is not acceptable; the field is named.
            VersionConflictError: It is not at `memory.expected_version`.
            PreconditionFailedError: It is not as `precondition` demands.
            IdempotencyKeyReusedError: The key was given to another write.
            StorageFullError: There is no room; nothing was stored.
        """
        return await self._parts.remembering.store(
            namespace, memory, precondition=precondition, key=idempotency_key
        )

    async def store_many(
        self,
        namespace: str,
        memories: Sequence[NewMemory],
        *,
        idempotency_key: IdempotencyKey | None = None,
    ) -> list[Stored | SfmError]:
        """Store many memories, each by itself, in few commits.

        Args:
            namespace: Where they are to live.
            memories: What to store; of several at one coordinate each is a version.
            idempotency_key: Names this write, so that each of the memories is stored once.
                What was refused is tried again when it is repeated.

        Returns:
            One result per memory, in order: what was stored, or why it was not.

        Raises:
            LimitExceededError: More memories than one call may have; nothing was stored.
            InvalidInputError: A value is not acceptable; nothing was stored.
            IdempotencyKeyReusedError: The key was given to another write; nothing was stored.
        """
        return await self._parts.remembering.store_many(namespace, memories, idempotency_key)

    async def remember(
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
        """Store a memory at a coordinate of the engine's choice.

        Args:
            namespace: Where it is to live.
            payload: The JSON object to keep.
            type: Kind of memory.
            importance: 0 to 1; 0.5 by default.
            ttl: How long it is to live.
            episode: The course of events it belongs to.
            idempotency_key: Names this write, so that it happens once.

        Returns:
            Where it lives now. Coordinates given later are greater.

        Raises:
            InvalidInputError: A value is not acceptable; the field is named.
            IdempotencyKeyReusedError: The key was given to another write.
        """
        memory = NewMemory(
            coordinate=_ANYWHERE,
            payload=payload,
            type=type,
            importance=importance,
            ttl=ttl,
            episode=episode,
        )
        return await self._parts.remembering.remember(namespace, memory, idempotency_key)

    async def update(
        self,
        namespace: str,
        coordinate: Coordinate,
        patch: MemoryPatch,
        *,
        expected_version: int | None = None,
        precondition: Precondition | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Stored:
        """Change parts of a memory; everything else stays, whoever else writes meanwhile.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.
            patch: What changes.
            expected_version: Change only this version.
            precondition: What must be so of it.
            idempotency_key: Names this write, so that it happens once.

        Returns:
            The version that was written.

        Raises:
            InvalidInputError: A value, or what would come out, is not acceptable.
            NotFoundError: There is no such memory.
            VersionConflictError: It is not at `expected_version`.
            PreconditionFailedError: It is not as `precondition` demands.
            IdempotencyKeyReusedError: The key was given to another write.
        """
        return await self._parts.remembering.update(
            namespace,
            coordinate,
            patch,
            expected_version=expected_version,
            precondition=precondition,
            key=idempotency_key,
        )

    async def set_importance(
        self,
        namespace: str,
        coordinate: Coordinate,
        importance: float,
        *,
        expected_version: int | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Stored:
        """Change how important a memory is; everything else stays.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.
            importance: 0 to 1.
            expected_version: Change only this version.
            idempotency_key: Names this write, so that it happens once.

        Returns:
            The version that was written.

        Raises:
            InvalidInputError: The importance is out of range.
            NotFoundError: There is no such memory.
            VersionConflictError: It is not at `expected_version`.
            IdempotencyKeyReusedError: The key was given to another write.
        """
        return await self.update(
            namespace,
            coordinate,
            MemoryPatch(importance=importance),
            expected_version=expected_version,
            idempotency_key=idempotency_key,
        )

    async def delete(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        expected_version: int | None = None,
        precondition: Precondition | None = None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Removed:
        """Delete a memory and its links. Its history is kept.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.
            expected_version: Delete only this version.
            precondition: What must be so of it, where there is one.
            idempotency_key: Names this write, so that it happens once.

        Returns:
            Whether there was one, as a truth value. No recall that starts
            afterwards returns it.

        Raises:
            VersionConflictError: It is not at `expected_version`.
            PreconditionFailedError: It is not as `precondition` demands.
            IdempotencyKeyReusedError: The key was given to another write.
        """
        return await self._parts.forgetting.delete(
            namespace,
            coordinate,
            expected_version,
            precondition=precondition,
            key=idempotency_key,
        )

    async def delete_many(
        self,
        namespace: str,
        coordinates: Sequence[Coordinate],
        *,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Removed:
        """Delete many memories and their links.

        Args:
            namespace: Where they live.
            coordinates: Where they live there; those without a memory are passed over.
            idempotency_key: Names this write, so that each of them is looked for once.

        Returns:
            How many there were.

        Raises:
            LimitExceededError: More coordinates than one call may have; nothing was deleted.
            IdempotencyKeyReusedError: The key was given to another write; nothing was deleted.
        """
        return await self._parts.forgetting.delete_many(namespace, coordinates, idempotency_key)

    async def delete_matching(
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
        """Delete the memories that a selection picks, and their links, part by part.

        The truth itself is looked through, so what the index does not know yet
        is deleted, too. Each memory is judged as it is when it is deleted: one
        that has been changed meanwhile, so that it is not picked any more, stays.

        Args:
            namespace: Where they live.
            selection: What picks them.
            after: Where to go on: `next_after` of the part before.
            limit: Most memories to look at, picked or not.
            dry_run: Only count them.
            purge: Remove their history too, and have every store let go of them.
            idempotency_key: Has the same memories deleted, and the same answered, however
                often this is asked for with it; not for a dry run.

        Returns:
            How many were picked and deleted, and where the next part begins.

        Raises:
            LimitExceededError: The limit is too high; nothing was deleted.
            BackendError: A backend failed; some may be deleted, and the same
                again deletes the rest.
            IdempotencyKeyReusedError: The key was given to another write before.
        """
        return await self._parts.clearing.delete_matching(
            namespace,
            selection,
            after=after,
            limit=limit,
            dry_run=dry_run,
            purge=purge,
            key=idempotency_key,
        )
