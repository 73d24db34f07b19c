"""The engine's face: every operation on memories and links, and nothing behind it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sfm_core.engine.access import AccessRecorder
from sfm_core.engine.check import Checking
from sfm_core.engine.forget import Forgetting
from sfm_core.engine.health import check_health
from sfm_core.engine.links import Linking
from sfm_core.engine.paths import PathFinding
from sfm_core.engine.reading import Reading
from sfm_core.engine.recall import Recalling
from sfm_core.engine.remember import Remembering
from sfm_core.engine.stores import Stores
from sfm_core.engine.transfer import Exporting, Importing, Progress
from sfm_core.errors import SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.link import DEFAULT_LINK_TYPE, Link
from sfm_core.model.memory import (
    AccessStatistics,
    Episode,
    Memory,
    MemoryType,
    NewMemory,
)
from sfm_core.model.payload import Payload
from sfm_core.model.query import Recalled, RecallQuery
from sfm_core.model.report import CheckReport, Health, ImportReport, Stats, Stored
from sfm_core.protocols.graph import Direction

_ANYWHERE = Coordinate((0.0,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of an engine, one per kind of work."""

    stores: Stores
    remembering: Remembering
    forgetting: Forgetting
    reading: Reading
    recalling: Recalling
    linking: Linking
    paths: PathFinding
    access: AccessRecorder
    checking: Checking
    exporting: Exporting
    importing: Importing


class MemoryEngine:
    """An agent's memory. Open one with `sfm_core.engine.assembly.open_engine`.

    All methods may be called concurrently. Every method that takes a namespace
    raises `InvalidInputError` for one that is no name, and every method may
    raise `BackendUnavailableError` if the truth does not answer; a write may
    then have happened or not, and repeating it is safe.
    """

    def __init__(self, parts: Parts) -> None:
        """Work with parts that `open_engine` has put together."""
        self._parts = parts
        self.rebuilding = False

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

    async def get(self, namespace: str, coordinate: Coordinate) -> Memory:
        """Read the memory at a coordinate.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.

        Returns:
            The memory.

        Raises:
            NotFoundError: There is none, or it was deleted or has expired.
        """
        return await self._parts.reading.get(namespace, coordinate)

    async def get_many(
        self, namespace: str, coordinates: Sequence[Coordinate]
    ) -> list[Memory | None]:
        """Read many memories in one round trip.

        Args:
            namespace: Where they live.
            coordinates: Where they live there.

        Returns:
            One element per coordinate, in order; `None` where there is no memory.

        Raises:
            LimitExceededError: More coordinates than one call may have.
        """
        return await self._parts.reading.get_many(namespace, coordinates)

    async def access(self, namespace: str, coordinate: Coordinate) -> AccessStatistics:
        """Tell how often a memory was read; all zero where there is none.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.

        Returns:
            Count and time of the last read.
        """
        return await self._parts.access.statistics(namespace, coordinate)

    async def history(
        self, namespace: str, coordinate: Coordinate, *, limit: int = 100
    ) -> list[Memory]:
        """Read the versions of a memory that are kept, also after its deletion.

        Args:
            namespace: Where it lives or lived.
            coordinate: Where it lives there.
            limit: Most versions to return.

        Returns:
            Versions, newest first, the current one included.

        Raises:
            NotFoundError: No version is kept.
        """
        return await self._parts.reading.history(namespace, coordinate, limit)

    async def delete(
        self, namespace: str, coordinate: Coordinate, *, expected_version: int | None = None
    ) -> bool:
        """Delete a memory and its links. Its history is kept.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.
            expected_version: Delete only this version.

        Returns:
            Whether there was one. No recall that starts afterwards returns it.

        Raises:
            VersionConflictError: It is not at `expected_version`.
        """
        return await self._parts.forgetting.delete(namespace, coordinate, expected_version)

    async def delete_many(self, namespace: str, coordinates: Sequence[Coordinate]) -> int:
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

    async def recall(self, namespace: str, query: RecallQuery) -> list[Recalled]:
        """Find the memories that answer a query best.

        Args:
            namespace: Where to look.
            query: What to look for.

        Returns:
            At most `query.top_k` memories, best first, each as the truth holds
            it now: none that was deleted, has expired or does not match.

        Raises:
            InvalidInputError: The query is empty, too long or asks for too much.
        """
        return await self._parts.recalling.recall(namespace, query)

    async def recall_many(
        self, namespace: str, queries: Sequence[RecallQuery]
    ) -> list[list[Recalled]]:
        """Answer many queries, sharing embedding, search and reading.

        Args:
            namespace: Where to look.
            queries: What to look for.

        Returns:
            One answer per query, in order; see `recall`.

        Raises:
            InvalidInputError: One of the queries is not acceptable.
            LimitExceededError: More queries than one call may have.
        """
        return await self._parts.recalling.recall_many(namespace, queries)

    async def range(
        self,
        namespace: str,
        low: Coordinate,
        high: Coordinate,
        *,
        type: MemoryType | None = None,
        limit: int = 1000,
    ) -> list[Coordinate]:
        """Find the memories in a box.

        Args:
            namespace: Where to look.
            low: Corner with the least components, included.
            high: Corner with the greatest components, included.
            type: Only memories of this type.
            limit: Most coordinates to return.

        Returns:
            Coordinates with as many components as the corners, each between
            theirs; in ascending order. The first `limit` if there are more.

        Raises:
            InvalidCoordinateError: The corners have different lengths.
        """
        return await self._parts.reading.range(namespace, low, high, type=type, limit=limit)

    async def link(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        type: str = DEFAULT_LINK_TYPE,
        weight: float = 1.0,
    ) -> Link:
        """Link two memories, replacing the link of that type between them.

        Args:
            namespace: Where both live.
            source: Where the link starts.
            target: Where it leads.
            type: What it means.
            weight: Cost of following it, at least 0.

        Returns:
            The link. It goes when one of its ends is deleted or expires.

        Raises:
            NotFoundError: One of the memories does not exist.
            InvalidInputError: Type or weight is not acceptable.
        """
        return await self._parts.linking.link(namespace, source, target, type, weight)

    async def unlink(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        type: str = DEFAULT_LINK_TYPE,
    ) -> bool:
        """Remove a link.

        Args:
            namespace: Where it is.
            source: Where it starts.
            target: Where it leads.
            type: What it means.

        Returns:
            Whether there was one.
        """
        return await self._parts.linking.unlink(namespace, source, target, type)

    async def neighbors(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        link_type: str | None = None,
        direction: Direction = Direction.OUT,
        limit: int = 100,
    ) -> list[Link]:
        """Find the links at a memory.

        Args:
            namespace: Where it lives.
            coordinate: The memory.
            link_type: Only links of this type.
            direction: Links that start here, or those that lead here.
            limit: Most links to return.

        Returns:
            Links, the lightest first; empty where there is no memory.
        """
        return await self._parts.linking.neighbors(
            namespace, coordinate, link_type=link_type, direction=direction, limit=limit
        )

    async def shortest_path(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        link_type: str | None = None,
    ) -> list[Coordinate]:
        """Find the path with the least sum of weights.

        Args:
            namespace: Where to look.
            source: Where it starts.
            target: Where it ends.
            link_type: Only links of this type.

        Returns:
            The coordinates on it, both ends included; empty where there is none.

        Raises:
            NotFoundError: One of the ends does not exist.
            LimitExceededError: The search grew too large to finish.
        """
        return await self._parts.paths.shortest_path(namespace, source, target, link_type)

    async def stats(self, namespace: str) -> Stats:
        """Count the memories and links of a namespace, without a scan.

        Args:
            namespace: What to count.

        Returns:
            The numbers; all zero for a namespace that was never used.
        """
        return await self._parts.reading.stats(namespace)

    async def namespaces(self) -> list[str]:
        """List the namespaces that hold or held something, in ascending order."""
        return await self._parts.reading.namespaces()

    def export(self, namespaces: Sequence[str] | None = None) -> AsyncGenerator[bytes]:
        """Write everything that lives as JSON Lines.

        Args:
            namespaces: What to export; everything by default.

        Returns:
            Lines without their ends: a header, memories with their kept
            versions, links, a footer. Needs memory for one page only. What is
            written meanwhile may be in it or not.
        """
        return self._parts.exporting.export(namespaces)

    async def import_lines(
        self,
        lines: AsyncIterable[bytes],
        *,
        default_namespace: str,
        progress: Progress | None = None,
    ) -> ImportReport:
        """Read JSON Lines: an export, or plain lines of memories.

        Args:
            lines: One JSON object each; blank ones are passed over.
            default_namespace: For lines that name none.
            progress: Told how many lines were dealt with.

        Returns:
            What was imported, and which lines were left out and why. Importing
            the same again changes nothing.

        Raises:
            BackendError: A backend failed; what came before is imported.
        """
        return await self._parts.importing.import_lines(
            lines, default_namespace=default_namespace, progress=progress
        )

    async def rebuild(self, *, progress: Progress | None = None) -> int:
        """Remake everything that is derived from the truth, while it serves.

        Args:
            progress: Told how many memories and links were dealt with.

        Returns:
            How many memories and links were dealt with.

        Raises:
            BackendError: A backend failed; what came before is remade.
        """
        return await self._parts.checking.rebuild(progress=progress)

    async def check(self, *, repair: bool = False, progress: Progress | None = None) -> CheckReport:
        """Compare the derived stores with the truth.

        Args:
            repair: Whether to make them follow. Nothing is deleted from the truth.
            progress: Told how many memories and links were dealt with.

        Returns:
            The differences that were found, repaired or not.

        Raises:
            BackendError: A backend failed.
        """
        return await self._parts.checking.check(repair=repair, progress=progress)

    async def health(self) -> Health:
        """Tell how every backend does; one that is down is an answer, not an error."""
        return await check_health(self._parts.stores, rebuilding=self.rebuilding)
