"""The graph port: neighbours of memories, derived from the links in the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.lifecycle import Backend


class Direction(StrEnum):
    """Which way links are followed."""

    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeId:
    """Which link an edge stands for.

    Attributes:
        source: Where it starts.
        type: What it means.
        target: Where it leads.
    """

    source: Coordinate
    type: str
    target: Coordinate


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What a graph store keeps of a link.

    Attributes:
        id: The link.
        weight: Cost of following it, from 0 to `MAX_WEIGHT`, so that sums of weights stay finite.
        version: Version of the link it was made from.
    """

    id: EdgeId
    weight: float
    version: int


class GraphStore(Backend, Protocol):
    """Answers who is linked with whom. Derived: it can be rebuilt from the truth."""

    async def apply(
        self, namespace: str, *, upserts: Sequence[Edge] = (), deletes: Sequence[EdgeId] = ()
    ) -> None:
        """Write and remove edges.

        Args:
            namespace: Where they are.
            upserts: Edges to write, replacing those of the same links.
            deletes: Links whose edges are to go, after the upserts; unknown
                ones are ignored.

        Raises:
            LimitExceededError: More than `MAX_BATCH` of either.
            BackendUnavailableError: The store was not reached before the
                deadline; some changes may have happened.

        Guarantees:
            Idempotent. Calls that start after it returns see the changes.
        """
        ...

    async def neighbors(
        self,
        namespace: str,
        nodes: Sequence[Coordinate],
        *,
        direction: Direction = Direction.OUT,
        link_type: str | None = None,
        limit: int,
    ) -> list[list[Edge]]:
        """Find the edges at many nodes in one round trip.

        Args:
            namespace: Where they are.
            nodes: At most `MAX_BATCH`.
            direction: `OUT` for edges that start at a node, `IN` for those that lead to it.
            link_type: Only edges of this type.
            limit: Most edges per node.

        Returns:
            One list per node, in order; inside it by weight, then by the key
            bytes of the other end, then by type.

        Raises:
            LimitExceededError: More than `MAX_BATCH` nodes.
            BackendUnavailableError: The store was not reached before the deadline.
        """
        ...

    async def scroll(self, namespace: str, *, after: EdgeId | None, limit: int) -> list[Edge]:
        """List the edges of a namespace in a stable order.

        Args:
            namespace: Whose edges.
            after: The last edge of the page before.
            limit: Most edges to return.

        Returns:
            The next edges; empty at the end. Ordered by source, type and
            target: the byte order of `link_key`.

        Raises:
            BackendUnavailableError: The store was not reached before the deadline.
        """
        ...

    async def drop(self, namespace: str) -> None:
        """Remove every edge of a namespace, and none of another.

        Args:
            namespace: Whose edges.

        Raises:
            BackendUnavailableError: The store was not reached before the
                deadline; some edges may be gone.
        """
        ...
