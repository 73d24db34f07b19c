"""What a command needs of a memory, wherever it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sfm_server.picked import Picked
from sfm_server.schemas import links
from sfm_server.schemas.admin import CheckAnswer, ImportAnswer, ImportMode, RebuildAnswer
from sfm_server.schemas.collections import CollectionsAnswer, DroppedAnswer
from sfm_server.schemas.events import EventsAnswer, ReplayAnswer
from sfm_server.schemas.listings import CoordsAnswer
from sfm_server.schemas.memories import (
    DeletedAnswer,
    DeletedManyAnswer,
    EpisodeAnswer,
    HistoryAnswer,
    MemoryAnswer,
    StoredAnswer,
    StoredManyAnswer,
)
from sfm_server.schemas.purges import PurgedAnswer, PurgedManyAnswer
from sfm_server.schemas.recall import ResultsAnswer
from sfm_server.schemas.system import HealthAnswer, StatsAnswer
from sfm_server.schemas.values import TypeName

Progress = Callable[[int], None]
Arms = Literal["hybrid", "dense", "keyword"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A memory to store.

    Attributes:
        payload: The JSON object to keep.
        coord: Where; `None` lets the memory choose.
        type: Kind of memory.
        importance: 0 to 1, or `None` for the default.
        ttl_seconds: How long it is to live, or `None` for ever.
        episode: The course of events it belongs to, or `None`.
        expected_version: Only if the memory is at this version.
    """

    payload: Mapping[str, object]
    coord: str | None = None
    type: TypeName = "episodic"
    importance: float | None = None
    ttl_seconds: float | None = None
    episode: EpisodeAnswer | None = None
    expected_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to recall.

    Attributes:
        query: The question or cue.
        top_k: How many memories at most.
        type: Only memories of this type.
        filters: Only memories whose payload matches.
        context: What is going on now.
        mode: Which searches take part.
        explain: Whether to say what each score is made of.
        min_position: What writes that are to be seen have answered, with
            commas between several.
        deadline_ms: How long it may take; then what is late is left out.
        why_not: Coordinate of a memory to tell of why it is not recalled.
        as_of: Show and judge what is found as it was at this time.
    """

    query: str
    top_k: int = 5
    type: TypeName | None = None
    filters: Mapping[str, object] | None = None
    context: str = ""
    mode: Arms = "hybrid"
    explain: bool = False
    min_position: str | None = None
    deadline_ms: int | None = None
    why_not: str | None = None
    as_of: str | None = None


class MemoryClient(Protocol):
    """A memory in this process or behind HTTP, seen through one namespace.

    Every method raises the errors of `sfm_core.errors` that the engine
    documents for it, wherever the engine runs; `BackendUnavailableError` also
    stands for a server that does not answer. A `key` names a write, so that it
    happens once however often it is asked for.
    """

    async def store(self, item: Item, *, key: str | None = None) -> StoredAnswer:
        """Store a memory."""
        ...

    async def store_many(
        self, items: Sequence[Item], *, key: str | None = None
    ) -> StoredManyAnswer:
        """Store many memories, each at a coordinate that it names."""
        ...

    async def recall(self, question: Question) -> ResultsAnswer:
        """Recall what answers a question."""
        ...

    async def get(self, coord: str, *, as_of: str | None = None) -> MemoryAnswer:
        """Read a memory."""
        ...

    async def history(self, coord: str, limit: int, *, cursor: str | None = None) -> HistoryAnswer:
        """Read the kept versions of a memory."""
        ...

    async def delete(
        self, coord: str, expected_version: int | None, *, key: str | None = None
    ) -> DeletedAnswer:
        """Delete a memory; it is an error if there is none."""
        ...

    async def delete_many(
        self, coords: Sequence[str], *, key: str | None = None, dry_run: bool = False
    ) -> DeletedManyAnswer:
        """Delete many memories, passing over those that do not exist."""
        ...

    async def delete_picked(
        self, picked: Picked, *, key: str | None = None, dry_run: bool = False
    ) -> DeletedManyAnswer:
        """Delete what a filter picks among so many memories."""
        ...

    async def purge(self, coords: Sequence[str], *, key: str | None = None) -> PurgedAnswer:
        """Remove memories for good, those that were deleted before, too."""
        ...

    async def purge_picked(self, picked: Picked, *, key: str | None = None) -> PurgedManyAnswer:
        """Remove for good what a filter picks among so many memories."""
        ...

    async def link(
        self,
        source: str,
        target: str,
        type_name: str,
        weight: float,
        *,
        key: str | None = None,
    ) -> links.LinkedAnswer:
        """Link two memories."""
        ...

    async def unlink(
        self, source: str, target: str, type_name: str, *, key: str | None = None
    ) -> links.UnlinkedAnswer:
        """Remove a link; it is an error if there is none."""
        ...

    async def neighbors(
        self,
        coord: str,
        *,
        link_type: str | None,
        direction: Literal["out", "in"],
        limit: int,
        min_position: str | None = None,
        cursor: str | None = None,
    ) -> links.NeighborsAnswer:
        """List the links at a memory."""
        ...

    async def path(
        self, source: str, target: str, link_type: str | None, *, min_position: str | None = None
    ) -> links.PathAnswer:
        """Find the shortest path between two memories."""
        ...

    async def range(
        self,
        low: str,
        high: str,
        *,
        type_name: TypeName | None,
        limit: int,
        cursor: str | None = None,
        as_of: str | None = None,
    ) -> CoordsAnswer:
        """List the coordinates in a box."""
        ...

    async def stats(self) -> StatsAnswer:
        """Count memories and links."""
        ...

    async def health(self) -> HealthAnswer:
        """Ask every backend how it does."""
        ...

    def export(self, namespaces: Sequence[str] | None) -> AsyncGenerator[bytes]:
        """Read everything as JSON Lines, without line ends."""
        ...

    async def import_lines(
        self,
        lines: AsyncGenerator[bytes],
        progress: Progress,
        *,
        mode: ImportMode = ImportMode.LINES,
        key: str | None = None,
    ) -> ImportAnswer:
        """Store what JSON Lines say."""
        ...

    async def collections(self) -> CollectionsAnswer:
        """List the collections of the vector store."""
        ...

    async def drop_collection(self, name: str) -> DroppedAnswer:
        """Drop a collection that nothing needs."""
        ...

    async def rebuild(self, progress: Progress) -> RebuildAnswer:
        """Remake every derived store."""
        ...

    async def check(self, *, repair: bool, progress: Progress) -> CheckAnswer:
        """Compare derived stores with the truth, and repair them if asked to."""
        ...

    def follow_events(
        self, after: str, types: Sequence[str], *, all_namespaces: bool
    ) -> AsyncGenerator[EventsAnswer]:
        """Read the event log, and go on with what happens; without end."""
        ...

    async def replay_events(
        self,
        since: str,
        namespaces: Sequence[str] | None,
        *,
        dry_run: bool,
        progress: Progress,
    ) -> ReplayAnswer:
        """Tell again what changed since a time."""
        ...
