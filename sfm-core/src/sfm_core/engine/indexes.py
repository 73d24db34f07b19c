"""Which collections an engine searches and keeps current.

Several engines share a truth, and each looks at the catalog only now and then.
What makes that safe is `HORIZON`: no engine searches, or calls a change followed,
by a look that is older. So once a collection has been in the catalog for that
long, every change that an engine made without knowing of the collection was in
the truth before, and a comparison that begins now finds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sfm_core.engine import switching
from sfm_core.engine.catalog import (
    Catalog,
    CollectionRecord,
    Role,
    change_catalog,
    distrusted,
    read_catalog,
)
from sfm_core.engine.index import Index, WordIndex
from sfm_core.engine.index_opener import IndexOpener
from sfm_core.engine.presence import alone
from sfm_core.engine.stores import Stores
from sfm_core.engine.switching import Progress, Start
from sfm_core.engine.view import View

HORIZON = timedelta(seconds=10)
"""How old an engine's knowledge of the catalog may be."""

SILENCE = timedelta(seconds=30)
"""How long nobody must have given a sign of life to be taken for dead."""

Change = Callable[[Catalog], Catalog]


class _Pulse(NamedTuple):
    """A sign of life, and since when there was no newer one."""

    number: int
    role: Role
    since: float


class Indexes:
    """One engine's share in the collections of a truth."""

    def __init__(self, stores: Stores, opener: IndexOpener) -> None:
        """Work for the engine that has `stores`; call `begin` first."""
        self._stores = stores
        self._opener = opener
        self._lock = asyncio.Lock()
        self._looked = asyncio.Event()
        self._looked_at = float("-inf")
        self._pulses: dict[str, _Pulse] = {}
        self._active_since: dict[tuple[str, int], float] = {}
        self._progress: Progress | None = None
        self._claiming: asyncio.Task[Catalog] | None = None
        self._view = View(Catalog(), stores.index, None, (stores.index,), responsible=False)

    @property
    def view(self) -> View:
        """What was seen last, however long ago."""
        return self._view

    def failure(self, name: str) -> str:
        """Return why this engine cannot use a collection, or ""."""
        failure = self._opener.failure(name)
        return str(failure) if failure else ""

    async def begin(self, *, place: str, decides: bool) -> None:
        """Have the chosen index play its part, and look for the first time.

        Args:
            place: Which vector store and which graph store these are.
            decides: Whether the chosen index is to replace what serves.

        Raises:
            ConfigurationError: The vector store has a collection of that name
                with another dimension.
            BackendError: Truth or vector store failed.
        """
        stores = self._stores
        present = frozenset(found.name for found in await stores.vector.collections())
        # What is lost is noted before it is there again: else a start that came to its end
        # between the two would have the next one trust an empty collection.
        catalog = await self._change(
            lambda c: switching.without_lost(switching.at_place(c, place), present, self._now())
        )
        for record in catalog.active:
            await self._opener.open(record)
            await stores.vector.ensure(record.collection)
        serving = catalog.serving
        if decides or serving is None or self._opener.opened(serving.name) is None:
            await stores.vector.ensure(stores.index.collection)
        start = Start(
            wanted=stores.index.record(Role.SERVING, self._now()),
            unusable=frozenset(r.name for r in catalog.active if self._opener.unusable(r.name)),
            empty=not await stores.kv.namespaces(limit=1),
            decides=decides,
            now=self._now(),
        )
        await self._change(lambda c: switching.started(c, start))
        if start.empty and await stores.kv.namespaces(limit=1):
            # Something came in between, where this engine was asleep even all of another truth.
            await self._change(distrusted)
        await self.look()

    async def current(self) -> View:
        """Return what to search and follow now.

        Returns:
            A view that is not older than `HORIZON`.

        Raises:
            BackendError: The truth did not answer.
        """
        if self._outdated():
            async with self._lock:
                if self._outdated():
                    await self._look()
        return self._view

    async def look(self) -> None:
        """Look at the catalog, and do in it what is due.

        Raises:
            BackendError: The truth did not answer.
        """
        async with self._lock:
            await self._look()

    async def _look(self) -> None:
        began = self._monotonic()
        if began - self._looked_at > SILENCE.total_seconds() / 2:
            # Perhaps nobody could give a sign of life, as this engine could not look.
            self._pulses.clear()
        catalog = await read_catalog(self._stores.kv)
        for record in catalog.active:
            await self._opener.open(record)
        self._watch(catalog)
        # Whoever makes an entry from now on looks at the collections only afterwards.
        passing = [r for r in catalog.active if not r.known or r.role is Role.RETIRING]
        unseen = passing and await alone(self._stores.kv, self._stores.owner)

        def upkeep(now: Catalog) -> Catalog:
            return self._upkeep(now, passing if unseen else ())

        if upkeep(catalog) != catalog:
            catalog = await self._change(upkeep)
        self._view = self._seen(catalog)
        self._looked_at = began
        if self._progress is not None and not self.builds(self._progress):
            self._progress = None
        self._note_active(catalog)
        self._looked.set()
        self._looked.clear()

    async def looked(self) -> None:
        """Wait until the catalog was looked at once more."""
        await self._looked.wait()

    def to_build(self) -> CollectionRecord | None:
        """Return the collection that this engine should build, if there is one."""
        catalog = self._view.catalog
        for record in catalog.active:
            if self._opener.opened(record.name) is None or record.role is Role.RETIRING:
                continue
            finished = record.complete and catalog.edges_complete
            if record.role is Role.SERVING and finished:
                continue
            if record.role is Role.BUILDING and record.name != self._stores.index.name:
                continue
            if record.builder in {"", self._stores.owner} or self._silent(record.name, SILENCE):
                return record
        return None

    async def claim(self, record: CollectionRecord) -> Index | None:
        """Take over a build, or begin once more with one that has missed something.

        Args:
            record: What `to_build` returned.

        Returns:
            The index to build; `None` where another engine was faster.

        Raises:
            BackendError: The truth did not answer.
        """
        owner = self._stores.owner
        dead = self._pulses[record.name].number if self._silent(record.name, SILENCE) else -1
        # Whoever is cancelled here may have claimed it all the same: `leave` waits for the end.
        self._claiming = asyncio.create_task(
            self._change(
                lambda c: switching.claimed(c, record.name, record.build, owner, from_pulse=dead)
            )
        )
        await asyncio.shield(self._claiming)
        if self._progress is None:
            self._progress = Progress(name=record.name, build=record.build, builder=owner)
        await self.look()
        return self._opener.opened(record.name) if self.builds(record) else None

    def tell(self, **fields: int | str) -> None:
        """Tell how far the build in hand is; the next look notes it in the truth.

        Args:
            fields: Fields of `Progress`.
        """
        if self._progress is not None:
            self._progress = replace(self._progress, **fields)  # type: ignore[arg-type]

    def followed_by_all(self, record: CollectionRecord) -> float:
        """Return when, on the monotonic clock, every engine will have known of a build.

        Args:
            record: What is built.

        Returns:
            The time from which on a comparison finds all that was written
            without knowing of it.
        """
        if record.known:
            return float("-inf")
        since = self._active_since.get((record.name, record.build), self._monotonic())
        return since + HORIZON.total_seconds()

    async def missed(self, view: View) -> bool:
        """Have builds look for a change that is found and that they could not follow.

        Args:
            view: By which look the change was followed in what was searched, and not everywhere.

        Returns:
            Whether it stays found; not where one of them serves by now.

        Raises:
            BackendError: The truth did not answer.
        """
        names = {index.name for index in view.followed[1:]}
        catalog = await self._change(lambda c: switching.missed(c, names))
        return catalog.serving is None or catalog.serving.name not in names

    def builds(self, record: CollectionRecord | Progress) -> bool:
        """Tell whether this engine was the one to build when it last looked."""
        now = self._view.catalog.find(record.name)
        mine = (record.build, self._stores.owner)
        return now is not None and (now.build, now.builder) == mine

    async def finish(self, record: CollectionRecord) -> bool:
        """Note that a build is complete, and search its collection from now on.

        Args:
            record: What was built.

        Returns:
            Whether it counts; not where something was missed, or has begun anew, meanwhile.

        Raises:
            BackendError: The truth did not answer.
        """
        owner, now = self._stores.owner, self._now()
        catalog = await self._change(
            lambda c: switching.finished(c, record.name, record.build, owner, now)
        )
        await self.look()
        found = catalog.find(record.name)
        return found is not None and found.complete and found.build == record.build

    async def leave(self) -> None:
        """Let others go on with the build in hand.

        Raises:
            BackendError: The truth did not answer; others wait until this
                engine counts as dead.
        """
        claiming, self._claiming, self._progress = self._claiming, None, None
        if claiming is not None:
            await asyncio.wait({claiming})
            await self._change(lambda c: switching.released(c, self._stores.owner))

    def _upkeep(self, catalog: Catalog, mine_alone: Sequence[CollectionRecord]) -> Catalog:
        """Make the changes that are due by what this engine knows.

        Args:
            catalog: The catalog.
            mine_alone: What no other engine searches, or builds without knowing.

        Returns:
            The catalog.
        """
        now, chosen = self._now(), self._stores.index.name
        if self._progress is not None:
            catalog = switching.advanced(catalog, self._progress)
        catalog = switching.known_to_all(catalog, mine_alone)
        serving = catalog.serving
        if serving is not None and self._opener.opened(serving.name) is None:
            catalog = switching.searched_still(catalog, self._view.searched.name)
        for record in mine_alone:
            if record.role is Role.RETIRING:
                # Unless this engine has just said that it searches it.
                catalog = switching.abandoned(catalog, record.name, pulse=record.pulse, now=now)
        for name, pulse in self._pulses.items():
            if self._silent(name, 2 * SILENCE):
                catalog = switching.abandoned(catalog, name, pulse=pulse.number, now=now)
        return switching.wanted_again(catalog, chosen, now)

    def _seen(self, catalog: Catalog) -> View:
        able = [index for r in catalog.active if (index := self._opener.opened(r.name)) is not None]
        serving = catalog.serving
        # An engine that cannot use what serves goes on with what it has searched so far.
        searched = (serving and self._opener.opened(serving.name)) or self._view.searched
        followed = tuple(dict.fromkeys([searched, *able]))
        return View(
            catalog=catalog,
            searched=searched,
            filler=self._filler(catalog, searched),
            followed=followed,
            responsible=len(able) == len(catalog.active),
        )

    def _filler(self, catalog: Catalog, searched: Index) -> WordIndex | None:
        serving = catalog.serving
        if serving is None or (serving.complete and serving.name == searched.name):
            return None
        if serving.name != searched.name:
            return self._opener.words(serving)
        kept = [r for r in catalog.collections if r.role is Role.KEPT and r.complete]
        latest = max(kept, key=lambda record: record.since, default=None)
        return self._opener.words(latest) if latest else None

    def _watch(self, catalog: Catalog) -> None:
        now = self._monotonic()
        before, self._pulses = self._pulses, {}
        for record in catalog.active:
            known = before.get(record.name)
            same = known and (known.number, known.role) == (record.pulse, record.role)
            fresh = _Pulse(record.pulse, record.role, now)
            self._pulses[record.name] = known if known and same else fresh

    def _silent(self, name: str, length: timedelta) -> bool:
        pulse = self._pulses.get(name)
        return pulse is not None and self._monotonic() - pulse.since > length.total_seconds()

    def _note_active(self, catalog: Catalog) -> None:
        now = self._monotonic()
        before = self._active_since
        keys = [(record.name, record.build) for record in catalog.active]
        self._active_since = {key: before.get(key, now) for key in keys}

    def _outdated(self) -> bool:
        return self._monotonic() - self._looked_at > HORIZON.total_seconds()

    async def _change(self, change: Change) -> Catalog:
        return await change_catalog(self._stores.kv, self._stores.owner, change)

    def _now(self) -> datetime:
        return self._stores.clock.now()

    def _monotonic(self) -> float:
        return self._stores.clock.monotonic()
