"""Reading and recalling memories."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import inf

from sfm_core.engine.operations.parts import Operations
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import AccessStatistics, Memory, MemoryType
from sfm_core.model.page import Page
from sfm_core.model.position import WritePosition
from sfm_core.model.query import Recalled, RecallQuery, TimelyAnswer
from sfm_core.model.report import Stats
from sfm_core.model.why_not import WhyNot


class Asking(Operations):
    """Reads and recalls memories."""

    async def get(
        self, namespace: str, coordinate: Coordinate, *, as_of: datetime | None = None
    ) -> Memory:
        """Read the memory at a coordinate.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.
            as_of: As it was at this time, as far as its history is kept; that
                does not count as reading it.

        Returns:
            The memory.

        Raises:
            NotFoundError: There is none, or it was deleted or has expired.
            HistoryGoneError: What is kept does not tell what was there then.
        """
        return await self._parts.reading.get(namespace, coordinate, as_of)

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
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Memory]:
        """Read the versions of a memory that are kept, also after its deletion.

        Args:
            namespace: Where it lives or lived.
            coordinate: Where it lives there.
            before: Only versions less than this; the last one that was read, to go on.
            limit: Most versions to return.

        Returns:
            Versions, newest first, the current one included.

        Raises:
            NotFoundError: No version is kept, and `before` was not given.
        """
        page = await self._parts.listing.history(
            namespace, coordinate, before=before, limit=limit, max_bytes=inf
        )
        return list(page.items)

    async def history_page(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        before: int | None = None,
        limit: int = 100,
    ) -> Page[Memory]:
        """Read versions of a memory, as `history` does, but no more than an answer may have.

        Args:
            namespace: Where it lives or lived.
            coordinate: Where it lives there.
            before: Only versions less than this; the last one that was read, to go on.
            limit: Most versions to return.

        Returns:
            Versions, newest first. They end before their payloads are larger than
            `Limits.max_answer_bytes`, but not before the first.

        Raises:
            NotFoundError: No version is kept, and `before` was not given.
        """
        return await self._parts.listing.history(
            namespace, coordinate, before=before, limit=limit, max_bytes=self._max_bytes
        )

    async def wait_for(self, *positions: WritePosition) -> bool:
        """Wait until recall, neighbors and paths see certain writes, made here or elsewhere.

        Args:
            positions: What the writes have answered as their position.

        Returns:
            Whether derived stores have followed all of them; `False` if not
            before the engine's `index_wait` was over. What has followed stays so.

        Raises:
            InvalidPositionError: One is of a truth that this one does not go on from.
        """
        return await self._parts.positions.wait_for(positions)

    async def warm_up(self) -> None:
        """Load the model of an embedder that runs in this process, for which a question would wait.

        Where that fails, the first question that needs the model tells.
        """
        await self._parts.recalling.warm_up()

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
            LimitExceededError: What was found is larger than an answer may be.
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
            LimitExceededError: More queries than one call may have, or what was found is
                larger than an answer may be.
        """
        return await self._parts.recalling.recall_many(namespace, queries)

    async def recall_within(
        self, namespace: str, query: RecallQuery, deadline: timedelta
    ) -> TimelyAnswer:
        """Find the memories that answer a query best, with what is there in time.

        Args:
            namespace: Where to look.
            query: What to look for.
            deadline: How long it may take.

        Returns:
            The answer of `recall` if that came in time. Otherwise what those
            arms have found that came, and which did not; an arm that failed
            is left out as well, if another one has answered.

        Raises:
            InvalidInputError: The query cannot be answered, or the deadline is not above zero.
            DeadlineExceededError: No arm has answered in time.
            BackendError: Every arm has failed, or the truth has.
        """
        [answer] = await self._parts.timely.recall_many(namespace, [query], deadline)
        return answer

    async def recall_many_within(
        self, namespace: str, queries: Sequence[RecallQuery], deadline: timedelta
    ) -> list[TimelyAnswer]:
        """Answer many queries with what is there in time, sharing the work.

        Args:
            namespace: Where to look.
            queries: What to look for.
            deadline: How long all of them together may take.

        Returns:
            One answer per query, in order; see `recall_within`.

        Raises:
            InvalidInputError: One of the queries cannot be answered, or the deadline is not
                above zero.
            LimitExceededError: More queries than one call may have, or what was found is
                larger than an answer may be.
            DeadlineExceededError: For one of them, no arm has answered in time.
            BackendError: Every arm has failed, or the truth has.
        """
        return await self._parts.timely.recall_many(namespace, queries, deadline)

    async def why_not(self, namespace: str, query: RecallQuery, coordinate: Coordinate) -> WhyNot:
        """Tell why a memory is not among the answers to a query.

        The question is asked once more for this, and at need more widely, so it
        takes longer than a recall; what is written meanwhile may change the answer.

        Args:
            namespace: Where to look.
            query: What was looked for.
            coordinate: Where the memory lives that was not found.

        Returns:
            The first step on the way at which the memory was lost.

        Raises:
            InvalidInputError: The query cannot be answered.
            BackendError: A backend failed.
        """
        return await self._parts.explaining.why_not(namespace, query, coordinate)

    async def range(
        self,
        namespace: str,
        low: Coordinate,
        high: Coordinate,
        *,
        type: MemoryType | None = None,
        after: Coordinate | None = None,
        limit: int = 1000,
        as_of: datetime | None = None,
    ) -> list[Coordinate]:
        """Find the memories in a box.

        Args:
            namespace: Where to look.
            low: Corner with the least components, included.
            high: Corner with the greatest components, included.
            type: Only memories of this type.
            after: Only coordinates after this; the last one that was found, to go on.
            limit: Most coordinates to return.
            as_of: As it was at this time, as far as history is kept.

        Returns:
            Coordinates with as many components as the corners, each between
            theirs; in ascending order. The first `limit` if there are more.

        Raises:
            InvalidCoordinateError: The corners have different lengths.
            HistoryGoneError: Of some memory there, what is kept does not tell.
        """
        return await self._parts.reading.range(
            namespace, low, high, type=type, after=after, limit=limit, as_of=as_of
        )

    async def list_memories(
        self,
        namespace: str,
        *,
        type: MemoryType | None = None,
        after: Coordinate | None = None,
        limit: int = 100,
    ) -> list[Memory]:
        """List the memories of a namespace. It does not count as reading them.

        Args:
            namespace: What to list.
            type: Only memories of this type.
            after: Only those after this coordinate; that of the last one, to go on.
            limit: Most memories to return.

        Returns:
            Memories in ascending order of their coordinates, those with fewer components first.
            What lives as long as pages are read is on exactly one of them.
        """
        page = await self._parts.listing.memories(
            namespace, type=type, after=after, limit=limit, max_bytes=inf
        )
        return list(page.items)

    async def memories_page(
        self,
        namespace: str,
        *,
        type: MemoryType | None = None,
        after: Coordinate | None = None,
        limit: int = 100,
    ) -> Page[Memory]:
        """List memories, as `list_memories` does, but no more than an answer may have.

        Args:
            namespace: What to list.
            type: Only memories of this type.
            after: Only those after this coordinate; that of the last one, to go on.
            limit: Most memories to return.

        Returns:
            Memories in the same order. They end before their payloads are larger than
            `Limits.max_answer_bytes`, but not before the first.
        """
        return await self._parts.listing.memories(
            namespace, type=type, after=after, limit=limit, max_bytes=self._max_bytes
        )

    @property
    def _max_bytes(self) -> int:
        return self._parts.stores.settings.limits.max_answer_bytes

    async def stats(self, namespace: str) -> Stats:
        """Count the memories and links of a namespace, without a scan.

        Args:
            namespace: What to count.

        Returns:
            The numbers; all zero for a namespace that was never used.
        """
        return await self._parts.reading.stats(namespace)

    async def namespaces(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """List the namespaces that hold or held something.

        Args:
            after: Only names greater than this; the last one that was listed, to go on.
            limit: Most names to return; all by default.

        Returns:
            Names in ascending order.
        """
        return await self._parts.reading.namespaces(after=after, limit=limit)
