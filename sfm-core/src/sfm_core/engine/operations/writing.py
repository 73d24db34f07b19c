"""Storing and deleting memories."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sfm_core.engine.operations.parts import Operations
from sfm_core.errors import SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import Episode, MemoryType, NewMemory
from sfm_core.model.payload import Payload
from sfm_core.model.report import Removed, Stored

_ANYWHERE = Coordinate((0.0,))


class Writing(Operations):
    """Stores and deletes memories."""

    async def store(self, namespace: str, memory: NewMemory) -> Stored:
        """Store a memory, replacing the one at its coordinate.

        Args:
            namespace: Where it is to live.
            memory: What to store.

        Returns:
            The version that was written. From here on it is not lost.

        Raises:
            InvalidInputError: A value is not acceptable; the field is named.
            VersionConflictError: It is not at `memory.expected_version`.
            StorageFullError: There is no room; nothing was stored.
        """
        return await self._parts.remembering.store(namespace, memory)

    async def store_many(
        self, namespace: str, memories: Sequence[NewMemory]
    ) -> list[Stored | SfmError]:
        """Store many memories, each by itself, in few commits.

        Args:
            namespace: Where they are to live.
            memories: What to store; of several at one coordinate each is a version.

        Returns:
            One result per memory, in order: what was stored, or why it was not.

        Raises:
            LimitExceededError: More memories than one call may have; nothing was stored.
            InvalidInputError: A value is not acceptable; nothing was stored.
        """
        return await self._parts.remembering.store_many(namespace, memories)

    async def remember(
        self,
        namespace: str,
        payload: Payload,
        *,
        type: MemoryType = MemoryType.EPISODIC,
        importance: float | None = None,
        ttl: timedelta | None = None,
        episode: Episode | None = None,
    ) -> Stored:
        """Store a memory at a coordinate of the engine's choice.

        Args:
            namespace: Where it is to live.
            payload: The JSON object to keep.
            type: Kind of memory.
            importance: 0 to 1; 0.5 by default.
            ttl: How long it is to live.
            episode: The course of events it belongs to.

        Returns:
            Where it lives now. Coordinates given later are greater.

        Raises:
            InvalidInputError: A value is not acceptable; the field is named.
        """
        memory = NewMemory(
            coordinate=_ANYWHERE,
            payload=payload,
            type=type,
            importance=importance,
            ttl=ttl,
            episode=episode,
        )
        return await self._parts.remembering.remember(namespace, memory)

    async def set_importance(
        self,
        namespace: str,
        coordinate: Coordinate,
        importance: float,
        *,
        expected_version: int | None = None,
    ) -> Stored:
        """Change how important a memory is; everything else stays.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.
            importance: 0 to 1.
            expected_version: Change only this version.

        Returns:
            The version that was written.

        Raises:
            InvalidInputError: The importance is out of range.
            NotFoundError: There is no such memory.
            VersionConflictError: It is not at `expected_version`.
        """
        return await self._parts.remembering.set_importance(
            namespace, coordinate, importance, expected_version
        )

    async def delete(
        self, namespace: str, coordinate: Coordinate, *, expected_version: int | None = None
    ) -> Removed:
        """Delete a memory and its links. Its history is kept.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.
            expected_version: Delete only this version.

        Returns:
            Whether there was one, as a truth value. No recall that starts
            afterwards returns it.

        Raises:
            VersionConflictError: It is not at `expected_version`.
        """
        return await self._parts.forgetting.delete(namespace, coordinate, expected_version)

    async def delete_many(self, namespace: str, coordinates: Sequence[Coordinate]) -> Removed:
        """Delete many memories and their links.

        Args:
            namespace: Where they live.
            coordinates: Where they live there; those without a memory are passed over.

        Returns:
            How many there were.

        Raises:
            LimitExceededError: More coordinates than one call may have; nothing was deleted.
        """
        return await self._parts.forgetting.delete_many(namespace, coordinates)
