"""A patient graph store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from sfm_core.clock import Clock
from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.graph import Direction, Edge, EdgeId, GraphStore
from sfm_core.protocols.optional import SupportsShortestPath
from sfm_core.resilience.policy import Policy
from sfm_core.resilience.retry import Repetition
from sfm_core.resilience.wrapper import DEFAULT_POLICY, ResilientBackend


class ResilientGraphStore(ResilientBackend[GraphStore]):
    """Repeats reads, and writes that failed but not those that timed out.

    Attributes:
        shortest_path: There only if the backend has it; repeated, because it only reads.
    """

    shortest_path: Callable[..., Awaitable[list[EdgeId] | None]]

    def __init__(
        self, inner: GraphStore, *, policy: Policy = DEFAULT_POLICY, clock: Clock | None = None
    ) -> None:
        """Wrap a backend that is not open yet.

        Args:
            inner: The backend; it is opened and closed with the wrapper.
            policy: How patient to be.
            clock: Source of time, for pauses and for the breaker.
        """
        super().__init__(inner, policy=policy, clock=clock)
        if isinstance(inner, SupportsShortestPath):
            self._native: SupportsShortestPath = inner
            self.shortest_path = self._shortest_path

    async def apply(
        self, namespace: str, *, upserts: Sequence[Edge] = (), deletes: Sequence[EdgeId] = ()
    ) -> None:
        """Write and remove edges; repeated, but not after a time-out.

        A call that timed out may still land, and would then undo what was
        written to the same edges meanwhile.
        """
        await self.guard.call(
            lambda: self.inner.apply(namespace, upserts=upserts, deletes=deletes),
            Repetition.UNLESS_LATE,
        )

    async def neighbors(
        self,
        namespace: str,
        nodes: Sequence[Coordinate],
        *,
        direction: Direction = Direction.OUT,
        link_type: str | None = None,
        limit: int,
    ) -> list[list[Edge]]:
        """Find edges; repeated, because it only reads."""
        return await self.guard.call(
            lambda: self.inner.neighbors(
                namespace, nodes, direction=direction, link_type=link_type, limit=limit
            ),
            Repetition.ALWAYS,
        )

    async def scroll(self, namespace: str, *, after: EdgeId | None, limit: int) -> list[Edge]:
        """List edges; repeated, because it only reads."""
        return await self.guard.call(
            lambda: self.inner.scroll(namespace, after=after, limit=limit), Repetition.ALWAYS
        )

    async def drop(self, namespace: str) -> None:
        """Drop a namespace's edges once; never repeated.

        A repetition could remove what was written after the first attempt.
        """
        await self.guard.call(lambda: self.inner.drop(namespace), Repetition.NEVER)

    async def _shortest_path(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        link_type: str | None,
        max_nodes: int,
    ) -> list[EdgeId] | None:
        return await self.guard.call(
            lambda: self._native.shortest_path(
                namespace, source, target, link_type=link_type, max_nodes=max_nodes
            ),
            Repetition.ALWAYS,
        )
