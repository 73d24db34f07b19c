"""Telling which collections there are, and dropping those that nobody uses."""

from __future__ import annotations

from collections.abc import Callable

from sfm_core.engine.catalog import Catalog, CollectionRecord, Role, change_catalog, read_catalog
from sfm_core.engine.indexes import Indexes
from sfm_core.engine.stores import Stores
from sfm_core.errors import InvalidInputError, NotFoundError
from sfm_core.model.report import CollectionState
from sfm_core.protocols.vector import Collection

UNLISTED = "unlisted"
"""What a collection is for that the vector store has and the truth does not know."""


class Shelving:
    """Lists and drops collections."""

    def __init__(self, stores: Stores, indexes: Indexes) -> None:
        """Look after the collections in the vector store of `stores`."""
        self._stores = stores
        self._indexes = indexes

    def known(self) -> tuple[CollectionState, ...]:
        """Tell how the collections were when this engine last looked, without asking anyone."""
        return tuple(map(self._state, self._indexes.view.catalog.collections))

    async def list(self) -> list[CollectionState]:
        """List the collections; see `MemoryEngine.collections`."""
        await self._indexes.look()
        listed = self.known()
        names = {state.name for state in listed}
        strangers = [
            CollectionState(name=found.name, role=UNLISTED, dimension=found.dimension)
            for found in await self._stores.vector.collections()
            if found.name not in names
        ]
        return [*listed, *strangers]

    async def drop(self, name: str) -> None:
        """Drop a collection; see `MemoryEngine.drop_collection`."""
        await self._indexes.look()
        found = await self._find(name)
        if name in {index.name for index in self._indexes.view.followed}:
            raise _in_use(name)

        def forget(catalog: Catalog) -> Catalog:
            record = catalog.find(name)
            if record is not None and record.role is not Role.KEPT:
                raise _in_use(name)
            return catalog.without(name)

        await self._change(forget)
        await self._stores.vector.drop(found)
        if (await read_catalog(self._stores.kv)).find(name) is not None:
            # An engine has started that wants it, and what it wrote may just have been dropped.
            await self._stores.vector.ensure(found)
            await self._change(lambda catalog: _anew(catalog, name))

    async def _find(self, name: str) -> Collection:
        for found in await self._stores.vector.collections():
            if found.name == name:
                return found
        record = self._indexes.view.catalog.find(name)
        if record is None:
            raise NotFoundError(f"There is no collection {name!r}.")
        return record.collection

    async def _change(self, change: Callable[[Catalog], Catalog]) -> None:
        await change_catalog(self._stores.kv, self._stores.owner, change)

    def _state(self, record: CollectionRecord) -> CollectionState:
        return CollectionState(
            name=record.name,
            role=record.role.value,
            dimension=record.dimension,
            embedder=record.embedder,
            complete=record.complete,
            since=record.since,
            done=record.done,
            total=record.total,
            failures=record.failures,
            error=record.error,
            chosen=record.name == self._stores.index.name,
            unusable=self._indexes.failure(record.name),
        )


def _anew(catalog: Catalog, name: str) -> Catalog:
    record = catalog.find(name)
    return catalog if record is None else catalog.put(record.rebuilt(record.role, record.since))


def _in_use(name: str) -> InvalidInputError:
    return InvalidInputError(
        f"The collection {name!r} is in use.",
        field="name",
        remedy="Drop only collections that are kept or unlisted; see `sfm collections`.",
    )
