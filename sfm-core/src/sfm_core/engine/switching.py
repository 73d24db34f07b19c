"""How collections change their roles. Each function makes a new catalog of an old one.

The rules in short: what the last start asked for is built beside what serves,
and serves when it is complete. What has served until then is kept current for
as long as an engine searches it, and then kept as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from sfm_core.engine.catalog import ACTIVE, Catalog, CollectionRecord, Role, distrusted


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What an engine finds when it starts.

    Attributes:
        wanted: The collection of its embedder and text rule.
        unusable: Names of collections whose embedder it cannot have.
        empty: Whether the truth holds nothing.
        decides: Whether the engine's choice is to become that of all.
        now: The time.
    """

    wanted: CollectionRecord
    unusable: frozenset[str]
    empty: bool
    decides: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an engine is with a build.

    Attributes:
        name: The collection.
        build: Which build of it.
        builder: The engine.
        done: Memories that were dealt with.
        total: Memories there are to deal with.
        failures: How often the build has failed.
        error: Why it failed last, or "".
    """

    name: str
    build: int
    builder: str
    done: int = 0
    total: int = 0
    failures: int = 0
    error: str = ""


def without_lost(catalog: Catalog, present: frozenset[str], now: datetime) -> Catalog:
    """Take note of collections that the vector store no longer has.

    Args:
        catalog: The catalog.
        present: Names of the collections that exist.
        now: The time.

    Returns:
        The catalog without what was kept and is gone; what is in use and is
        gone has to be built anew.
    """
    for record in catalog.collections:
        if record.name in present:
            continue
        if record.role is Role.KEPT:
            catalog = catalog.without(record.name)
        elif record.complete:
            catalog = catalog.put(record.rebuilt(record.role, now))
    return catalog


def at_place(catalog: Catalog, place: str) -> Catalog:
    """Take note of which derived stores are beside the truth.

    Args:
        catalog: The catalog.
        place: Vector store and graph store.

    Returns:
        The catalog. If these are others than before, they are compared with the
        truth: they may hold the state of an earlier time.
    """
    if catalog.place == place:
        return catalog
    moved = distrusted(catalog) if catalog.place else catalog
    return msgspec.structs.replace(moved, place=place)


def started(catalog: Catalog, start: Start) -> Catalog:
    """Give roles anew when an engine starts.

    Args:
        catalog: The catalog.
        start: What the engine finds.

    Returns:
        A catalog in which something serves. If that is not what the engine
        wanted, and if it decides, its own is being built. Where the engine
        cannot use what serves, its own serves from now on, complete or not:
        nobody could keep the other current after the next restart.
    """
    serving = catalog.serving
    if serving is None:
        return _first(catalog, start)
    takes_over = serving.name in start.unusable
    decides = start.decides or takes_over
    wanted = catalog.find(start.wanted.name) or start.wanted
    wanted = wanted.changed(embedder=start.wanted.embedder)
    for record in catalog.active if decides else ():
        dismissed = record.role is Role.BUILDING or record.name in start.unusable
        if record.name != wanted.name and dismissed:
            catalog = catalog.put(record.given(Role.KEPT, start.now))
    if takes_over:
        wanted = wanted.rebuilt(Role.SERVING, start.now)
    elif wanted.role is Role.RETIRING and wanted.complete and decides:
        # It was kept current all the time.
        wanted = wanted.given(Role.SERVING, start.now)
        catalog = catalog.put(serving.given(Role.RETIRING, start.now))
    elif serving.name != wanted.name and decides and wanted.role is not Role.BUILDING:
        wanted = wanted.rebuilt(Role.BUILDING, start.now)
    if decides:
        catalog = msgspec.structs.replace(catalog.put(wanted), wanted=wanted.name)
    return catalog


def _first(catalog: Catalog, start: Start) -> Catalog:
    wanted = catalog.find(start.wanted.name) or start.wanted
    # An engine that had come before would have left a catalog: there is none that must hear of it.
    wanted = wanted.rebuilt(Role.SERVING, start.now).changed(complete=start.empty, known=True)
    return msgspec.structs.replace(
        catalog.put(wanted), wanted=wanted.name, edges_complete=start.empty
    )


def known_to_all(catalog: Catalog, records: Iterable[CollectionRecord]) -> Catalog:
    """Take note that every engine knows which collections it has to keep current.

    Args:
        catalog: The catalog.
        records: The collections as they were when that was found out.

    Returns:
        The catalog.
    """
    for record in records:
        now = catalog.find(record.name)
        if now is not None and (now.build, now.role) == (record.build, record.role):
            catalog = catalog.put(now.changed(known=True))
    return catalog


def wanted_again(catalog: Catalog, name: str, now: datetime) -> Catalog:
    """Go on with a build that was given up although somebody still wants it.

    Args:
        catalog: The catalog.
        name: What an engine that lives wants.
        now: The time.

    Returns:
        The catalog with the collection being built, if no later start has
        asked for another.
    """
    record = catalog.find(name)
    if catalog.wanted != name or record is None or record.role is not Role.KEPT:
        return catalog
    return catalog.put(record.rebuilt(Role.BUILDING, now))


def claimed(catalog: Catalog, name: str, build: int, owner: str, *, from_pulse: int) -> Catalog:
    """Have an engine build a collection, unless another one is at it.

    Args:
        catalog: The catalog.
        name: The collection.
        build: Which build of it.
        owner: The engine.
        from_pulse: The last sign of life of a builder that counts as dead.

    Returns:
        The catalog; its record names the builder, who looks for everything
        that was missed before.
    """
    record = catalog.find(name)
    if record is None or record.build != build or record.role not in ACTIVE:
        return catalog
    if record.builder not in {"", owner} and record.pulse != from_pulse:
        return catalog
    return catalog.put(record.changed(builder=owner, missed=False, pulse=record.pulse + 1))


def advanced(catalog: Catalog, progress: Progress) -> Catalog:
    """Take note of how far a builder is, which is also its sign of life.

    Args:
        catalog: The catalog.
        progress: How far it is.

    Returns:
        The catalog; unchanged where somebody else builds.
    """
    record = catalog.find(progress.name)
    if record is None or (record.build, record.builder) != (progress.build, progress.builder):
        return catalog
    return catalog.put(
        record.changed(
            pulse=record.pulse + 1,
            done=progress.done,
            total=progress.total,
            failures=progress.failures,
            error=progress.error,
        )
    )


def missed(catalog: Catalog, names: Collection[str]) -> Catalog:
    """Take note that a change is found that some collections could not follow.

    Args:
        catalog: The catalog.
        names: The collections.

    Returns:
        The catalog; no build of one of them ends by it before it is claimed
        once more.
    """
    building = [r for r in catalog.active if r.role is Role.BUILDING and r.name in names]
    return catalog.put(*(record.changed(missed=True) for record in building))


def released(catalog: Catalog, owner: str) -> Catalog:
    """Let others build what an engine that leaves has been building."""
    mine = [r.changed(builder="") for r in catalog.collections if owner and r.builder == owner]
    return catalog.put(*mine)


def searched_still(catalog: Catalog, name: str) -> Catalog:
    """Give a sign that a retiring collection is still searched."""
    record = catalog.find(name)
    if record is None or record.role is not Role.RETIRING:
        return catalog
    return catalog.put(record.changed(pulse=record.pulse + 1))


def abandoned(catalog: Catalog, name: str, *, pulse: int, now: datetime) -> Catalog:
    """Keep a collection as it is when nobody builds or searches it any more.

    Args:
        catalog: The catalog.
        name: The collection.
        pulse: The last sign of life; one that came since has this do nothing.
        now: The time.

    Returns:
        The catalog.
    """
    record = catalog.find(name)
    if record is None or record.pulse != pulse:
        return catalog
    if record.role not in {Role.BUILDING, Role.RETIRING}:
        return catalog
    return catalog.put(record.given(Role.KEPT, now))


def finished(catalog: Catalog, name: str, build: int, owner: str, now: datetime) -> Catalog:
    """Take note that a collection is complete, and let it serve.

    Args:
        catalog: The catalog.
        name: The collection.
        build: The build that was brought to its end; one that was begun anew
            or missed something meanwhile has this do nothing.
        owner: The builder; one that was taken for dead has this do nothing.
        now: The time.

    Returns:
        The catalog.
    """
    record = catalog.find(name)
    if record is None or (record.build, record.builder) != (build, owner) or record.missed:
        return catalog
    complete = record.changed(
        complete=True, known=True, builder="", done=record.total, failures=0, error=""
    )
    if record.role is Role.SERVING:
        return msgspec.structs.replace(catalog.put(complete), edges_complete=True)
    if record.role is not Role.BUILDING:
        return catalog
    retiring = [r.given(Role.RETIRING, now) for r in catalog.active if r.role is Role.SERVING]
    return catalog.put(complete.given(Role.SERVING, now), *retiring)
