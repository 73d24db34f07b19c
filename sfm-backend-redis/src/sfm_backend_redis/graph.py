"""Who is linked with whom, in a Redis."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import cast

from sfm_backend_redis._port import RedisPort, quoted
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import link_key, parse_link_key, successor
from sfm_core.porting import check_batch
from sfm_core.protocols.graph import Direction, Edge, EdgeId

# Weights are not negative, so their bytes sort as they do.
_EDGE = struct.Struct(">dQ")


class RedisGraphStore(RedisPort):
    """Edges by their link, and by either end in the order in which neighbours are answered.

    All keys of a namespace are in one hash slot; namespaces are spread over a cluster.
    """

    async def apply(
        self, namespace: str, *, upserts: Sequence[Edge] = (), deletes: Sequence[EdgeId] = ()
    ) -> None:
        """Write and remove edges in one script; see `GraphStore.apply`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` of either.
            BackendError: The server could not be reached, or refused.
        """
        check_batch(len(upserts), "upserts")
        check_batch(len(deletes), "deletes")
        client = self._client
        arguments: list[bytes] = []
        for edge in upserts:
            # Adding zero turns -0.0, whose bytes would sort last, into 0.0.
            arguments += (*_identity(edge.id), _EDGE.pack(edge.weight + 0.0, edge.version))
        for gone in deletes:
            arguments += (*_identity(gone), b"")
        if arguments:
            await client.run("graph_apply", self._keys(namespace), arguments)

    async def neighbors(
        self,
        namespace: str,
        nodes: Sequence[Coordinate],
        *,
        direction: Direction = Direction.OUT,
        link_type: str | None = None,
        limit: int,
    ) -> list[list[Edge]]:
        """Find the edges at many nodes; see `GraphStore.neighbors`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` nodes.
            BackendError: The server could not be reached, or refused.
        """
        check_batch(len(nodes), "nodes")
        client = self._client
        if not nodes:
            return []
        edges, _, outgoing, incoming = self._keys(namespace)
        arguments: list[bytes | str | int] = [limit, link_type or "", direction.value]
        for node in nodes:
            # A node's bytes begin with their number, at most 64: there is a successor.
            arguments += (node.key, successor(node.key) or b"")
        there = outgoing if direction is Direction.OUT else incoming
        answer = await client.run("graph_neighbors", [edges, there], arguments)
        return [_edges(flat) for flat in cast(list[list[bytes]], answer)]

    async def scroll(self, namespace: str, *, after: EdgeId | None, limit: int) -> list[Edge]:
        """List the edges of a namespace in the order of `link_key`.

        Raises:
            BackendError: The server could not be reached, or refused.
        """
        edges, links, _, _ = self._keys(namespace)
        start = b"-" if after is None else b"(" + _identity(after)[0]
        answer = await self._client.run("graph_scroll", [edges, links], [start, limit])
        return _edges(cast(list[bytes], answer))

    async def drop(self, namespace: str) -> None:
        """Remove every edge of a namespace in one step.

        Raises:
            BackendError: The server could not be reached, or refused.
        """
        await self._client.command("UNLINK", *self._keys(namespace))

    def _keys(self, namespace: str) -> list[str]:
        tag = f"{{{self._prefix}:graph:{quoted(namespace)}}}"
        return [f"{tag}:{part}" for part in ("edges", "links", "out", "in")]


def _identity(edge: EdgeId) -> tuple[bytes, bytes, bytes, bytes]:
    link = link_key(edge.source, edge.type, edge.target)
    return link, edge.source.key, edge.type.encode(), edge.target.key


def _edges(flat: Sequence[bytes]) -> list[Edge]:
    return [_edge(link, stored) for link, stored in _pairs(flat)]


def _pairs(flat: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _edge(link: bytes, stored: bytes) -> Edge:
    source, kind, target = parse_link_key(link)
    weight: float
    version: int
    weight, version = _EDGE.unpack(stored)
    return Edge(id=EdgeId(source=source, type=kind, target=target), weight=weight, version=version)
