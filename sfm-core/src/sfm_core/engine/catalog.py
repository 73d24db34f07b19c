"""Which collections a truth has, and what each of them is for.

The catalog is one entry of the truth. Every change of it is compared and
swapped, so all engines that share the truth see the same sequence of changes,
and an engine that dies between two of them leaves nothing half done.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from sfm_core.errors import CorruptDataError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Committed, Entry, KeyValueStore, Write
from sfm_core.protocols.vector import Collection
from sfm_core.text.composing import TextRule

_KEY = b"collections"
_LEASE = timedelta(seconds=1)


class Role(StrEnum):
    """What a collection is for."""

    SERVING = "serving"
    """It is searched, and kept current."""

    BUILDING = "building"
    """It is filled and kept current, and will serve when it is complete."""

    RETIRING = "retiring"
    """It has served until now. It is kept current while an engine still searches it."""

    KEPT = "kept"
    """It is left as it was, so that going back to it is cheap."""


ACTIVE = frozenset({Role.SERVING, Role.BUILDING, Role.RETIRING})
"""Roles whose collections every engine keeps current."""


class CollectionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One collection of the vector store, as the truth knows it.

    Attributes:
        name: Its name.
        dimension: Length of its vectors.
        embedder: URL of the embedder whose vectors it holds.
        rule: How its words were drawn from payloads.
        role: What it is for.
        since: When it was given that role.
        complete: Whether it holds every memory; of one that is kept, whether
            it did when it was last kept current.
        known: Whether every engine knows by now that it has to keep it current.
        build: How often a build of it was begun; tells one build from the next.
        pulse: Grows while an engine that lives builds or searches it.
        builder: The engine that builds it, or "".
        missed: Whether a change that was found already may be missing in this
            build, which does not end before it has looked for it.
        done: Memories that this build has dealt with.
        total: Memories that it has to deal with.
        failures: How often this build has failed so far.
        error: Why it failed last, or "".
    """

    name: str
    dimension: int
    embedder: str
    rule: TextRule
    role: Role
    since: datetime
    complete: bool = False
    known: bool = False
    build: int = 1
    pulse: int = 0
    builder: str = ""
    missed: bool = False
    done: int = 0
    total: int = 0
    failures: int = 0
    error: str = ""

    @property
    def collection(self) -> Collection:
        """The collection, as the vector store knows it."""
        return Collection(name=self.name, dimension=self.dimension)

    def changed(self, **fields: object) -> CollectionRecord:
        """Return this record with other values in some fields."""
        return msgspec.structs.replace(self, **fields)

    def given(self, role: Role, now: datetime) -> CollectionRecord:
        """Return this record in another role; who built it or failed to is forgotten."""
        known = self.known and role in ACTIVE
        return self.changed(
            role=role, since=now, known=known, builder="", missed=False, failures=0, error=""
        )

    def rebuilt(self, role: Role, now: datetime) -> CollectionRecord:
        """Return this record in a role in which it has to be compared with the truth first."""
        return self.given(role, now).changed(complete=False, build=self.build + 1, done=0)


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """All collections that were made for a truth.

    Attributes:
        collections: One record each, by name.
        place: The vector store and the graph store that all of this is about.
        wanted: The collection that the last start asked for, or "".
        edges_complete: Whether the graph store follows the truth, as far as is
            known.
    """

    collections: tuple[CollectionRecord, ...] = ()
    place: str = ""
    wanted: str = ""
    edges_complete: bool = False

    @property
    def serving(self) -> CollectionRecord | None:
        """The collection that is searched; `None` before the first start."""
        return next((r for r in self.collections if r.role is Role.SERVING), None)

    @property
    def active(self) -> tuple[CollectionRecord, ...]:
        """The collections that every engine keeps current."""
        return tuple(record for record in self.collections if record.role in ACTIVE)

    def find(self, name: str) -> CollectionRecord | None:
        """Return the record of a collection, or `None`."""
        return next((record for record in self.collections if record.name == name), None)

    def put(self, *records: CollectionRecord) -> Catalog:
        """Return this catalog with some records put in, or put in place of older ones."""
        merged = {r.name: r for r in (*self.collections, *records)}
        return self._with(tuple(merged[name] for name in sorted(merged)))

    def without(self, name: str) -> Catalog:
        """Return this catalog without a collection."""
        return self._with(tuple(r for r in self.collections if r.name != name))

    def _with(self, records: tuple[CollectionRecord, ...]) -> Catalog:
        return msgspec.structs.replace(self, collections=records)


_decoder = msgspec.json.Decoder(Catalog)


async def read_catalog(kv: KeyValueStore) -> Catalog:
    """Read the catalog.

    Args:
        kv: The truth.

    Returns:
        The catalog; an empty one where no engine has worked on this truth yet.

    Raises:
        CorruptDataError: It cannot be read.
    """
    return _decode(kv, await _entry(kv))


async def change_catalog(
    kv: KeyValueStore, owner: str, change: Callable[[Catalog], Catalog]
) -> Catalog:
    """Change the catalog in one step that no other change comes between.

    Args:
        kv: The truth.
        owner: Who changes it.
        change: Makes the new catalog of the present one; may be called again.

    Returns:
        The catalog as it is then.

    Raises:
        CorruptDataError: It cannot be read.
    """
    while True:
        entry = await _entry(kv)
        before = _decode(kv, entry)
        after = change(before)
        if after == before:
            return before
        version = entry.version if entry else 0
        write = Write(_KEY, msgspec.json.encode(after), version + 1)
        commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(write,), expect={_KEY: version})
        [result] = await kv.commit([commit], owner=owner, lease=_LEASE)
        if isinstance(result, Committed):
            return after


async def distrust_derived_stores(kv: KeyValueStore, owner: str) -> None:
    """Have every derived store compared with the truth before it counts as complete again.

    For whoever has changed the truth behind the engines' backs, or has put
    other derived stores beside it. The collection that serves goes on serving
    while it is compared.

    Args:
        kv: The truth.
        owner: Who says so.

    Raises:
        CorruptDataError: The catalog cannot be read.
    """
    await change_catalog(kv, owner, distrusted)


def distrusted(catalog: Catalog) -> Catalog:
    """Return a catalog by which every derived store has to be compared with the truth."""
    doubted = catalog.put(*(r.rebuilt(r.role, r.since) for r in catalog.collections))
    return msgspec.structs.replace(doubted, edges_complete=False)


async def _entry(kv: KeyValueStore) -> Entry | None:
    [entry] = await kv.get_many(SYSTEM_NAMESPACE, [_KEY])
    return entry


def _decode(kv: KeyValueStore, entry: Entry | None) -> Catalog:
    if entry is None:
        return Catalog()
    try:
        return _decoder.decode(entry.value)
    except ValueError as error:
        raise CorruptDataError(
            f"The list of collections in the truth cannot be read: {error}",
            backend=kv.scheme,
            remedy="Restore the store from a backup, or import an export into a new one.",
        ) from error
