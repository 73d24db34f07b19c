"""What operations answer beside memories and links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.position import WritePosition
from sfm_core.model.purge import Purged


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A write that the truth has committed.

    Attributes:
        coordinate: Where the memory lives.
        version: The version that was written.
        indexed: Whether recall sees it already; if not, it will without
            anybody's doing, because the truth notes what derived stores owe.
        position: What `wait_for` takes, to recall only when it sees this write.
        revision: Names what was written; see `Memory.revision`.
    """

    coordinate: Coordinate
    version: int
    indexed: bool
    position: WritePosition
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was removed from the truth; false where there was nothing.

    Attributes:
        count: How many there were.
        position: What `wait_for` takes, to ask only when derived stores have followed.
    """

    count: int
    position: WritePosition

    def __bool__(self) -> bool:
        """Tell whether anything was removed."""
        return self.count > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """What a deletion by selection has done, or would do.

    Attributes:
        examined: How many entries were looked at.
        matched: How many memories among them were picked.
        deleted: How many were deleted; 0 in a dry run.
        examples: Where the first of those that were picked live or lived.
        position: What `wait_for` takes, to ask only when derived stores have followed.
        next_after: What the next part is asked for with; `None` after the last.
        purged: What is left of them in each store; `None` where they were only deleted.
    """

    examined: int
    matched: int
    deleted: int
    examples: tuple[Coordinate, ...]
    position: WritePosition
    next_after: Coordinate | None
    purged: Purged | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """How much a namespace holds. Expired memories count until they are swept.

    Attributes:
        total_memories: All memories.
        episodic: Those of type episodic.
        semantic: Those of type semantic.
        links: All links.
    """

    total_memories: int
    episodic: int
    semantic: int
    links: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineError:
    """A line of an import that was left out.

    Attributes:
        line: Its number, the first being 1.
        message: What is wrong with it.
    """

    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did.

    Attributes:
        imported: Memories that are there now, those that were already included.
        links: Links that are there now.
        errors: Lines that were left out; the first 1,000 of them.
        failed: How many lines were left out.
        expired: Memories that were not stored, since their time is over.
        passed_over: Links that were not, since one of their ends has expired or was
            deleted, or another memory lives there now.
    """

    imported: int
    links: int
    errors: tuple[LineError, ...]
    failed: int
    expired: int = 0
    passed_over: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What a replay told again.

    Attributes:
        memories: Events of memories.
        links: Events of links.
    """

    memories: int
    links: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """How the derived stores compare with the truth.

    Attributes:
        memories: Live memories in the truth.
        links: Live links in the truth.
        missing: Memories without a point.
        stale: Points of another version than their memory's.
        orphans: Points without a memory.
        links_missing: Links without an edge, or with an edge of another version.
        links_orphaned: Edges without a link.
        counters_wrong: Counters that do not say what the truth holds.
        repaired: Whether all of this was put right.
    """

    memories: int = 0
    links: int = 0
    missing: int = 0
    stale: int = 0
    orphans: int = 0
    links_missing: int = 0
    links_orphaned: int = 0
    counters_wrong: int = 0
    repaired: bool = False

    @property
    def consistent(self) -> bool:
        """Whether no difference was found."""
        return not (
            self.missing
            or self.stale
            or self.orphans
            or self.links_missing
            or self.links_orphaned
            or self.counters_wrong
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthSummary:
    """What a truth holds, in numbers that are the same for the same content.

    Attributes:
        namespaces: How many namespaces hold something.
        entries: How many entries they hold: memories and links with their
            history, their tombstones and what makes them found.
        memories: Entries of memories, tombstones included.
        links: Entries of links, tombstones included.
        digest: BLAKE2b of every entry, in order: namespace, key, version and
            value; and of the counters.
    """

    namespaces: int
    entries: int
    memories: int
    links: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationReport:
    """What a migration did, or would do.

    Attributes:
        source: How the URL of the old truth begins.
        target: How the URL of the new truth begins.
        written: Entries that were written to the new truth.
        removed: Entries that were removed from it.
        unchanged: Entries that were there already.
        events: Events of the log that were taken along.
        verified: What both truths hold, read once more after the last write;
            `None` in a dry run.
    """

    source: str
    target: str
    written: int = 0
    removed: int = 0
    unchanged: int = 0
    events: int = 0
    verified: TruthSummary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthDifference:
    """How two truths differ.

    Attributes:
        same: Memories and links that are the same in both.
        only_here: Memories and links that only this truth has.
        only_there: Memories and links that only the other one has.
        different: Memories and links that both have, but not alike.
        examples: Some that differ, as `namespace: coordinate` or
            `namespace: from>type>to`, with what is different.
    """

    same: int = 0
    only_here: int = 0
    only_there: int = 0
    different: int = 0
    examples: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether both hold the same memories and links."""
        return not (self.only_here or self.only_there or self.different)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLag:
    """How far an event sink is behind.

    Attributes:
        count: How many events it has not acknowledged, counted up to 10,000.
        oldest_at: Since when the oldest of them waits; `None` where none does.
        trouble: Why they cannot be published, or "".
    """

    count: int
    oldest_at: datetime | None
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far what follows the truth is behind it.

    Attributes:
        outbox_depth: Keys that derived stores still have to follow.
        outbox_oldest_at: Since when the oldest of them waits; `None` where none does.
        events: How far the event sink is behind; `None` where there is none.
    """

    outbox_depth: int
    outbox_oldest_at: datetime | None
    events: EventLag | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What one engine has published since it was opened; of several on a truth, one does.

    Attributes:
        events: How many events the sink has acknowledged to it.
        failures: How often publishing failed.
    """

    events: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PortHealth:
    """How one backend does.

    Attributes:
        scheme: URL scheme of the backend.
        ok: Whether it answered; an event sink also has to take what is published.
        latency: How long it took.
        error: Why it did not, or "".
        vital: Whether nothing works without it. Without any other, what
            needs it fails or waits and the rest goes on.
        lag: For how long the oldest change has waited to reach it; `None`
            where nothing follows the truth there, or that is not known.
        backlog: How many changes wait to reach it; `None` as with `lag`.
            Events are counted up to 10,000.
        superseded_by: Of the truth: where the one is that has taken over, so
            that this one takes no more writes; "" where none has.
    """

    scheme: str
    ok: bool
    latency: timedelta
    error: str = ""
    vital: bool = False
    lag: timedelta | None = None
    backlog: int | None = None
    superseded_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionState:
    """One collection of the vector store.

    Attributes:
        name: Its name.
        role: `serving` (it is searched), `building` (it will serve when it is
            complete), `retiring` (it has served until now), `kept` (for going
            back to it, until it is dropped) or `unlisted` (the truth does not
            know it).
        dimension: Length of its vectors.
        embedder: URL of the embedder whose vectors it holds, or "".
        complete: Whether it holds every memory; of one that is kept, whether
            it did when it was last kept current.
        since: When it was given its role.
        done: Memories that the last build of it has dealt with.
        total: Memories that the build has or had to deal with.
        failures: How often in a row the build has failed so far; it is tried again.
        error: Why it failed last, or "".
        chosen: Whether the settings of the engine that answers ask for it.
        unusable: Why the engine that answers cannot use it, or "".
    """

    name: str
    role: str
    dimension: int
    embedder: str = ""
    complete: bool = False
    since: datetime | None = None
    done: int = 0
    total: int = 0
    failures: int = 0
    error: str = ""
    chosen: bool = False
    unusable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the engine and its backends do.

    Attributes:
        ports: One entry per port in use, by port name.
        outbox_depth: Keys that derived stores still have to follow; `None`
            where the truth does not answer.
        outbox_oldest_at: Since when the oldest of them waits.
        rebuilding: Whether a derived store is being built or compared with
            the truth.
        collections: The collections, as the engine saw them last; those that
            are built with their progress.
        indexing: Who has derived stores follow what this engine writes:
            `inline`, itself, or `evented`, others.
        hint: What to see to where those others are further behind than
            `wait_for` waits; "" where they are not.
    """

    ports: Mapping[str, PortHealth] = field(default_factory=dict[str, PortHealth])
    outbox_depth: int | None = None
    outbox_oldest_at: datetime | None = None
    rebuilding: bool = False
    collections: tuple[CollectionState, ...] = ()
    indexing: str = "inline"
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether every backend answered."""
        return all(port.ok for port in self.ports.values())

    @property
    def usable(self) -> bool:
        """Whether every backend that nothing works without answered."""
        return all(port.ok for port in self.ports.values() if port.vital)
