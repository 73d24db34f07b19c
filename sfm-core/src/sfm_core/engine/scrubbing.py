"""Having every store let go of memories that were purged, and telling what remains."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

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
_Step: TypeAlias = Callable[[str, Sequence[Coordinate]], Awaitable[None]]

Places: TypeAlias = Mapping[str, Sequence[Coordinate]]
"""Where memories lived: coordinates by namespace."""

Report: TypeAlias = tuple[StorePurge, ...]
"""How far each store is."""


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

    async def scrub(self, places: Places) -> dict[str, Report]:
        """Have every store let go; the failure of one does not keep the others from it.

        Nor does that of a namespace: the stores are rewritten once for those that did not fail.

        Args:
            places: Where the memories lived, by namespace: at most `MAX_BATCH` in all.

        Returns:
            How far each store is, by namespace.
        """
        stores = self._stores
        vectors = await _rows("vectors", stores.vector, places, self._follow, self._unfollowed)
        await self._indexer.settled()
        truth = await _rows("truth", stores.kv, places, self._history)
        events = {} if stores.sink is None else await _rows("events", stores.sink, places)
        return {
            namespace: self._report(truth[namespace], vectors[namespace], events.get(namespace))
            for namespace in places
        }

    def _report(self, truth: StorePurge, vectors: StorePurge, events: StorePurge | None) -> Report:
        # Links are removed along with points, and what an edge holds is no content.
        waits = vectors.state is PurgeState.PENDING
        graph = StorePurge(
            store="graph",
            backend=self._stores.graph.scheme,
            state=PurgeState.PENDING if waits else PurgeState.REMOVED,
        )
        cache = StorePurge(
            store="cache",
            backend=self._stores.cache.scheme,
            state=PurgeState.REMOVED,
            detail="It holds no memories.",
        )
        elsewhere = tuple(
            StorePurge(store=store, state=PurgeState.REMAINS, detail=detail)
            for store, detail in _ELSEWHERE
        )
        return (truth, vectors, graph, cache, *((events,) if events else ()), *elsewhere)

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
        current = {index.name for index in (await self._indexer.view()).followed}
        ids = [PointId(namespace=namespace, coordinate=coordinate) for coordinate in coordinates]
        found = await self._stores.vector.collections()
        kept = [collection for collection in found if collection.name not in current]
        for collection in kept:
            await self._stores.vector.delete(collection, ids)
        # Whichever came to be kept current meanwhile is to have what lives there now.
        names = {collection.name for collection in kept}
        keys = [memory_key(coordinate) for coordinate in coordinates]
        for index in (await self._indexer.view()).followed:
            if index.name in names:
                await self._repairing.points(namespace, keys, index)


async def _rows(
    store: str, backend: Backend, places: Places, *steps: _Step
) -> dict[str, StorePurge]:
    """Take the steps in each namespace, and have the store let go where they succeeded."""
    rows: dict[str, StorePurge] = {}
    for namespace, coordinates in places.items():
        try:
            for step in steps:
                await step(namespace, coordinates)
        except SfmError as error:
            rows[namespace] = _pending(store, backend, error)
    done = {namespace: places[namespace] for namespace in places if namespace not in rows}
    if done:
        rows |= dict.fromkeys(done, await _row(store, backend, done))
    return rows


async def _row(store: str, backend: Backend, places: Places) -> StorePurge:
    left = _UNTOLD
    offered: object = backend
    try:
        if isinstance(offered, SupportsScrubbing):
            left = await offered.scrub(places)
    except SfmError as error:
        return _pending(store, backend, error)
    state = PurgeState.REMAINS if left else PurgeState.REMOVED
    return StorePurge(store=store, backend=backend.scheme, state=state, detail=left)


def _pending(store: str, backend: Backend, error: SfmError) -> StorePurge:
    log.warning("the %s cannot be purged yet: %s: %s", store, error.code, error)
    return StorePurge(
        store=store,
        backend=backend.scheme,
        state=PurgeState.PENDING,
        detail=f"It failed with {error.code} and is tried again; the log says why.",
    )
