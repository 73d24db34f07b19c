"""Linking memories, and following links."""

from __future__ import annotations

from sfm_core.engine.operations.parts import Operations
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.link import DEFAULT_LINK_TYPE, Link, LinkPlace
from sfm_core.model.report import Removed
from sfm_core.protocols.graph import Direction


class Relating(Operations):
    """Links memories, and follows links."""

    async def link(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        type: str = DEFAULT_LINK_TYPE,
        weight: float = 1.0,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Link:
        """Link two memories, replacing the link of that type between them.

        Args:
            namespace: Where both live.
            source: Where the link starts.
            target: Where it leads.
            type: What it means.
            weight: Cost of following it, at least 0.
            idempotency_key: Names this write, so that it happens once.

        Returns:
            The link. It goes when one of its ends is deleted or expires.

        Raises:
            NotFoundError: One of the memories does not exist.
            InvalidInputError: Type or weight is not acceptable.
            IdempotencyKeyReusedError: The key was given to another write.
        """
        return await self._parts.linking.link(
            namespace, source, target, type, weight, key=idempotency_key
        )

    async def unlink(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        type: str = DEFAULT_LINK_TYPE,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Removed:
        """Remove a link.

        Args:
            namespace: Where it is.
            source: Where it starts.
            target: Where it leads.
            type: What it means.
            idempotency_key: Names this write, so that it happens once.

        Returns:
            Whether there was one, as a truth value.

        Raises:
            IdempotencyKeyReusedError: The key was given to another write.
        """
        return await self._parts.linking.unlink(namespace, source, target, type, idempotency_key)

    async def neighbors(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        link_type: str | None = None,
        direction: Direction = Direction.OUT,
        after: LinkPlace | None = None,
        limit: int = 100,
    ) -> list[Link]:
        """Find the links at a memory.

        Args:
            namespace: Where it lives.
            coordinate: The memory.
            link_type: Only links of this type.
            direction: Links that start here, or those that lead here.
            after: Only links that come after this place; that of the last one, to go on.
                From there on, they are read from the truth.
            limit: Most links to return.

        Returns:
            Links, the lightest first; empty where there is no memory.
        """
        return await self._parts.linking.neighbors(
            namespace,
            coordinate,
            link_type=link_type,
            direction=direction,
            after=after,
            limit=limit,
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
