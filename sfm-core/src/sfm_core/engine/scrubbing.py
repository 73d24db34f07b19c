"""Having every store let go of memories that were purged, and telling what remains."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.committer import Committer
from sfm_core.engine.indexer import Indexer
from sfm_core.engine.repairing import Repairing
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.errors import BackendUnavailableError, SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import KeyRange, history_key, memory_key
from sfm_core.model.purge import PurgeState, StorePurge
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.kv import Commit, Write
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.optional import SupportsScrubbing
from sfm_core.protocols.vector import PointId

log = logging.getLogger(__name__)

_UNTOLD: Final = (
    "It answers nothing of them any more, but does not tell when the bytes are gone from its files."
)
_ELSEWHERE: Final = (
    ("replicas", "A replica follows when it takes in the event of the purge."),
    ("earlier_truths", "A truth that this one has succeeded keeps what it held until it is wiped."),
    ("exports", "A file of an export keeps what it holds until it is removed."),
    ("backups", "A backup of a store, and its disk, keep what they hold until they are replaced."),
)
_VERSIONS: Final = 20
_Step = Callable[[], Awaitable[None]]


class Scrubbing:
    """Goes over every store for memories whose purge the truth has committed.

    It applies what the truth says now, so it can be done at any time, and again.
    """

    def __init__(
        self,
        stores: Stores,
        truth: Truth,
        committer: Committer,
        repairing: Repairing,
        indexer: Indexer,
    ) -> None:
        """Go over `stores`, when `indexer` has let go of notes: they name episodes."""
        self._stores = stores
        self._truth = truth
        self._committer = committer
        self._repairing = repairing
        self._indexer = indexer

    async def scrub(
        self, namespace: str, coordinates: Sequence[Coordinate]
    ) -> tuple[StorePurge, ...]:
        """Have every store let go; the failure of one does not keep the others from it.

        Args:
            namespace: Where the memories lived.
            coordinates: Where each of them lived there, at most `MAX_BATCH`.

        Returns:
            How far each store is.
        """
        stores = self._stores

        async def row(store: str, backend: Backend, *steps: _Step) -> StorePurge:
            return await _row(store, backend, namespace, coordinates, steps)

        vectors = await row(
            "vectors",
            stores.vector,
            lambda: self._follow(namespace, coordinates),
            lambda: self._unfollowed(namespace, coordinates),
        )
        # Links are removed along with points, and what an edge holds is no content.
        waits = vectors.state is PurgeState.PENDING
        graph = StorePurge(
            store="graph",
            backend=stores.graph.scheme,
            state=PurgeState.PENDING if waits else PurgeState.REMOVED,
        )
        truth = await row(
            "truth",
            stores.kv,
            self._indexer.settled,
            lambda: self._history(namespace, coordinates),
        )
        cache = StorePurge(
            store="cache",
            backend=stores.cache.scheme,
            state=PurgeState.REMOVED,
            detail="It holds no memories.",
        )
        events = () if stores.sink is None else (await row("events", stores.sink),)
        elsewhere = tuple(
            StorePurge(store=store, state=PurgeState.REMAINS, detail=detail)
            for store, detail in _ELSEWHERE
        )
        return (truth, vectors, graph, cache, *events, *elsewhere)

    async def _history(self, namespace: str, coordinates: Sequence[Coordinate]) -> None:
        """Remove what history still has of versions that were purged."""
        states = await self._truth.memories(namespace, coordinates)
        ranges = [
            KeyRange(history_key(coordinate, 0), history_key(coordinate, state.record.purged + 1))
            for coordinate, state in zip(coordinates, states, strict=True)
            if state.record is not None and state.record.purged
        ]
        while ranges:
            pages = await self._stores.kv.scan(namespace, ranges, limit=_VERSIONS)
            keys = [key for page in pages for key, _ in page]
            for start in range(0, len(keys), MAX_BATCH):
                await self._remove(namespace, keys[start : start + MAX_BATCH])
            ranges = [one for one, page in zip(ranges, pages, strict=True) if page]

    async def _remove(self, namespace: str, keys: Sequence[bytes]) -> None:
        def plan(view: View) -> Planned:
            writes = tuple(Write(key, None) for key in view)
            return Planned(commit=Commit(namespace=namespace, writes=writes), version=0)

        await self._committer.commit(Change(namespace=namespace, keys=tuple(keys), plan=plan))

    async def _follow(self, namespace: str, coordinates: Sequence[Coordinate]) -> None:
        """Have the indexes that are kept current say what the truth says, and the links, too.

        Raises:
            BackendUnavailableError: Others keep an index current that this engine cannot.
        """
        view = await self._indexer.view()
        keys = [memory_key(coordinate) for coordinate in coordinates]
        await self._repairing.repair(namespace, keys, view.searched)
        for index in view.followed:
            if index is not view.searched:
                await self._repairing.points(namespace, keys, index)
        if not view.responsible:
            raise BackendUnavailableError(
                "An index is kept current by other engines only.",
                backend=self._stores.vector.scheme,
            )

    async def _unfollowed(self, namespace: str, coordinates: Sequence[Coordinate]) -> None:
        """Remove points from collections that nobody keeps current."""
        view = await self._indexer.view()
        current = {index.name for index in view.followed}
        ids = [PointId(namespace=namespace, coordinate=coordinate) for coordinate in coordinates]
        for collection in await self._stores.vector.collections():
            if collection.name not in current:
                await self._stores.vector.delete(collection, ids)


async def _row(
    store: str,
    backend: Backend,
    namespace: str,
    coordinates: Sequence[Coordinate],
    steps: Sequence[_Step],
) -> StorePurge:
    try:
        for step in steps:
            await step()
        left = _UNTOLD
        offered: object = backend
        if isinstance(offered, SupportsScrubbing):
            left = await offered.scrub(namespace, coordinates)
    except SfmError as error:
        log.warning("the %s cannot be purged yet: %s: %s", store, error.code, error)
        return StorePurge(
            store=store,
            backend=backend.scheme,
            state=PurgeState.PENDING,
            detail=f"It failed with {error.code} and is tried again; the log says why.",
        )
    state = PurgeState.REMAINS if left else PurgeState.REMOVED
    return StorePurge(store=store, backend=backend.scheme, state=state, detail=left)
