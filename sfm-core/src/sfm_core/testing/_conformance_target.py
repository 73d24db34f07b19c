"""Which backend `sfm-conformance` is about, and what it turned out not to be able to do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, cast
from uuid import uuid4

from sfm_core.clock import Clock, SystemClock
from sfm_core.errors import InvalidFilterError
from sfm_core.inprocess import HashingEmbedder
from sfm_core.model.filters import parse_filter
from sfm_core.model.payload import JsonValue
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.vector import Collection, VectorQuery, VectorStore
from sfm_core.registry import LOCAL, BackendContext, PortName, Registration
from sfm_core.testing.contracts._marks import MARKS
from sfm_core.testing.samples import axis, coordinate, point

FRESH: Final = "{fresh}"
"""In a URL, it stands for a name that no other test uses."""

_NAMESPACE: Final = "kit"
_COLLECTION: Final = Collection(name="kit-look", dimension=8)
_OPERATORS: Final[Mapping[str, dict[str, JsonValue]]] = {
    "$ne": {"a": {"$ne": 1}},
    "$in": {"a": {"$in": [1]}},
    "$nin": {"a": {"$nin": [1]}},
    "$gt": {"a": {"$gt": 1}},
    "$gte": {"a": {"$gte": 1}},
    "$lt": {"a": {"$lt": 1}},
    "$lte": {"a": {"$lte": 1}},
    "$exists": {"a": {"$exists": True}},
    "$contains": {"a": {"$contains": "x"}},
    "$and": {"$and": [{"a": 1}]},
    "$or": {"$or": [{"a": 1}, {"b": 1}]},
    "$not": {"$not": {"a": 1}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A backend that can be made by its URL.

    Attributes:
        registration: What the plugin offers.
        url: The URL, perhaps with `FRESH` in it.
        options: What the environment would say.
        shared: What the backend says of itself.
        persistent: Whether data are there after closing and opening again.
        scores_both_arms: Whether hits of one arm are scored in the other too.
        unsupported: Filter operators that it refuses.
    """

    registration: Registration[Backend]
    url: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    shared: bool = True
    persistent: bool = True
    scores_both_arms: bool = True
    unsupported: frozenset[str] = frozenset()

    @property
    def local(self) -> bool:
        """Whether it is declared to work in this process only, and so by its clock."""
        return LOCAL in self.registration.capabilities

    def fresh_url(self) -> str:
        """Return the URL of data that no other test uses, if it says where the name goes."""
        return self.url.replace(FRESH, uuid4().hex)

    def context(self, folder: Path, clock: Clock | None = None) -> BackendContext:
        """Return a context, as a process has one."""
        return BackendContext(
            data_folder=folder, options=self.options, clock=clock or SystemClock()
        )

    def maker(self, folder: Path, clock: Clock | None = None) -> Callable[[], Backend]:
        """Return what makes backends on the same, new data.

        Args:
            folder: Where embedded backends keep their files.
            clock: Source of time.
        """
        url, context = self.fresh_url(), self.context(folder, clock)
        return lambda: self.registration.factory(url, context)


async def looked_at(target: Target) -> Target:
    """Find out what a backend does not do, so that the contracts can hold it to that.

    Args:
        target: What to look at.

    Returns:
        The same, with what was found.

    Raises:
        SfmError: The backend cannot be used at all.
    """
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        make = target.maker(Path(folder))
        target = replace(target, shared=make().shared)
        port = target.registration.port
        if port in {PortName.VECTOR, PortName.GRAPH}:
            target = replace(target, persistent=await _persists(make, port))
        if port is PortName.VECTOR:
            async with _example(cast(Callable[[], VectorStore], make)) as store:
                target = replace(
                    target,
                    scores_both_arms=await _scores_both_arms(store),
                    unsupported=await _refused(store),
                )
    return target


async def _persists(make: Callable[[], Backend], port: PortName) -> bool:
    leave, find = MARKS[port]
    async with make() as backend:
        await leave(backend, _NAMESPACE)
    async with make() as backend:
        found = await find(backend, _NAMESPACE)
        if port is PortName.GRAPH:
            await cast(GraphStore, backend).drop(_NAMESPACE)
        return found


@asynccontextmanager
async def _example(make: Callable[[], VectorStore]) -> AsyncGenerator[VectorStore]:
    async with make() as store:
        await store.ensure(_COLLECTION)
        points = [
            point(_NAMESPACE, coordinate(1.0), axis(0, 8), terms={"a": 1.0}),
            point(_NAMESPACE, coordinate(2.0), axis(1, 8), terms={"b": 1.0}),
        ]
        await store.upsert(_COLLECTION, points)
        yield store
        for collection in await store.collections():
            if collection.name.startswith("kit-"):
                await store.drop(collection)


async def _scores_both_arms(store: VectorStore) -> bool:
    query = VectorQuery(namespace=_NAMESPACE, limit=1, vector=axis(0, 8), terms={"b": 1.0})
    [result] = await store.search(_COLLECTION, [query])
    return all(hit.dense is not None and hit.keyword is not None for hit in result.hits)


async def _refused(store: VectorStore) -> frozenset[str]:
    refused: set[str] = set()
    for operator, source in _OPERATORS.items():
        query = VectorQuery(
            namespace=_NAMESPACE, limit=1, vector=axis(0, 8), filter=parse_filter(source)
        )
        try:
            await store.search(_COLLECTION, [query])
        except InvalidFilterError:
            refused.add(operator)
    return frozenset(refused)


class _Chosen:
    """The suite is a module of tests, which pytest imports: it finds its target here."""

    target: Target | None = None


def choose(target: Target) -> None:
    """Have the suite be about a backend.

    Args:
        target: Which.
    """
    _Chosen.target = target


def chosen() -> Target:
    """Return what the suite is about; where nothing was chosen, an embedder that is always there.

    So the suite can be imported, as every other module.
    """
    if _Chosen.target is not None:
        return _Chosen.target
    registration: Registration[Backend] = Registration(
        port=PortName.EMBEDDER,
        scheme="hashing",
        factory=lambda url, context: HashingEmbedder(),  # noqa: ARG005 - a factory's signature
        summary="",
        capabilities=frozenset({LOCAL}),
        distribution="sfm_core.testing",
    )
    return Target(registration=registration, url="hashing:", shared=False)
