"""Something small to leave in a backend of any port, and to look for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final, TypeAlias, cast

from sfm_core.protocols.cache import Cache, Cached
from sfm_core.protocols.graph import Edge, EdgeId, GraphStore
from sfm_core.protocols.kv import Commit, KeyValueStore, Write
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.vector import Collection, VectorStore
from sfm_core.registry import PortName
from sfm_core.testing.samples import axis, coordinate, point

Leave: TypeAlias = Callable[[Backend, str], Awaitable[None]]
Find: TypeAlias = Callable[[Backend, str], Awaitable[bool]]

_COLLECTION: Final = Collection(name="kit-marks", dimension=8)
_EDGE: Final = Edge(
    id=EdgeId(source=coordinate(1.0), type="related", target=coordinate(2.0)), weight=1.0, version=1
)
_HOUR: Final = timedelta(hours=1)


async def _leave_entry(backend: Backend, namespace: str) -> None:
    commit = Commit(namespace=namespace, writes=(Write(b"mark", b"mark"),))
    await cast(KeyValueStore, backend).commit([commit], owner="kit", lease=_HOUR)


async def _find_entry(backend: Backend, namespace: str) -> bool:
    return await cast(KeyValueStore, backend).get_many(namespace, [b"mark"]) != [None]


async def _leave_point(backend: Backend, namespace: str) -> None:
    store = cast(VectorStore, backend)
    await store.ensure(_COLLECTION)
    await store.upsert(_COLLECTION, [point(namespace, coordinate(1.0), axis(0, 8))])


async def _find_point(backend: Backend, namespace: str) -> bool:
    store = cast(VectorStore, backend)
    if _COLLECTION not in await store.collections():
        return False
    return bool(await store.scroll(_COLLECTION, namespace, after=None, limit=1))


async def _leave_edge(backend: Backend, namespace: str) -> None:
    await cast(GraphStore, backend).apply(namespace, upserts=[_EDGE])


async def _find_edge(backend: Backend, namespace: str) -> bool:
    return bool(await cast(GraphStore, backend).scroll(namespace, after=None, limit=1))


async def _leave_copy(backend: Backend, namespace: str) -> None:
    await cast(Cache, backend).set_if_newer(namespace, {b"mark": Cached(1, b"mark")}, ttl=_HOUR)


async def _find_copy(backend: Backend, namespace: str) -> bool:
    return await cast(Cache, backend).get_many(namespace, [b"mark"]) != [None]


MARKS: Final[Mapping[PortName, tuple[Leave, Find]]] = {
    PortName.KV: (_leave_entry, _find_entry),
    PortName.VECTOR: (_leave_point, _find_point),
    PortName.GRAPH: (_leave_edge, _find_edge),
    PortName.CACHE: (_leave_copy, _find_copy),
}
"""How to leave a mark and how to find it, for each port that keeps anything to be read."""
