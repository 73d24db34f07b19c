"""The key-value port: the one store that is the truth.

Entries live in namespaces. A key is up to `MAX_KEY_BYTES` bytes, a value any
bytes; keys are ordered byte-wise. Beside the entries a store keeps, under the
same atomic commit:

- *counters*: named integers per namespace, so that statistics need no scan;
- the *outbox*: one note per changed key that derived stores still have to
  follow. Each commit adds its own notes, so acknowledging one never loses another;
- the *event log*: what changed, in the order in which it became visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from sfm_core.model.events import EventNote
from sfm_core.model.keys import KeyRange
from sfm_core.protocols.event_log import EventLog

MAX_KEY_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and its version.

    Attributes:
        value: The bytes that were written.
        version: The version that came with them, at least 1.
    """

    value: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Write:
    """Put a value under a key, or remove the key.

    Attributes:
        key: What to write.
        value: The new bytes; `None` removes the entry.
        version: The version to keep with the value.
    """

    key: bytes
    value: bytes | None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Changes to one namespace that happen together or not at all.

    Attributes:
        namespace: Where they happen.
        writes: What to put and remove; of several for one key the last counts.
        expect: Versions that must be found for the commit to happen; 0 is
            "absent". Keys need not be among `writes`.
        counters: What to add to which counter; may be negative.
        dirty: Keys to note in the outbox.
        events: What to append to the event log.
    """

    namespace: str
    writes: tuple[Write, ...] = ()
    expect: Mapping[bytes, int] = field(default_factory=dict[bytes, int])
    counters: Mapping[str, int] = field(default_factory=dict[str, int])
    dirty: tuple[bytes, ...] = ()
    events: tuple[EventNote, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtyNote:
    """A key that derived stores still have to follow.

    Attributes:
        id: Identifies this note among all of the store.
        namespace: Namespace of the key.
        key: The key that changed.
        attempts: Times it was claimed and released before.
    """

    id: str
    namespace: str
    key: bytes
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The commit happened.

    Attributes:
        notes: One per key of `Commit.dirty`, in order, leased to the committer
            for as long as it said.
    """

    notes: tuple[DirtyNote, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """The commit did not happen, because expectations were not met.

    Attributes:
        current: What stands now under *every* key of `Commit.expect`, so that
            the caller can decide anew without another read.
    """

    current: Mapping[bytes, Entry | None]


CommitResult: TypeAlias = Committed | Conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStatus:
    """How far derived stores are behind.

    Attributes:
        depth: Notes that are not acknowledged.
        oldest_at: When the oldest of them was committed, or `None`.
    """

    depth: int
    oldest_at: datetime | None


class KeyValueStore(EventLog, Protocol):
    """Holds every memory and every link."""

    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        """Read many entries in one round trip.

        Args:
            namespace: Where to read.
            keys: Keys to read, at most `MAX_BATCH`; duplicates allowed.

        Returns:
            One element per key, in key order; `None` where the key is absent.

        Raises:
            LimitExceededError: More than `MAX_BATCH` keys.
            BackendUnavailableError: The store was not reached before the deadline.
            CorruptDataError: A stored entry could not be read.

        Guarantees:
            Sees every commit that was acknowledged before the call, by any
            process. Not a snapshot across keys.
        """
        ...

    async def scan(
        self, namespace: str, ranges: Sequence[KeyRange], *, limit: int
    ) -> list[list[tuple[bytes, Entry]]]:
        r"""Read the first entries of many key ranges.

        Args:
            namespace: Where to read.
            ranges: Ranges of keys, at most `MAX_BATCH`.
            limit: Most entries per range, 1 to `MAX_BATCH`. To go on, ask for
                the range that starts after the last key (`key + b"\0"`).

        Returns:
            One list per range, in order of the ranges; inside a list in byte
            order of the keys, descending where the range is reversed.

        Raises:
            LimitExceededError: Too many ranges, or a limit out of bounds.
            BackendUnavailableError: The store was not reached before the deadline.
            CorruptDataError: A stored entry could not be read.

        Guarantees:
            An entry that exists during the whole of a paged scan is seen
            exactly once. Cost grows with what is returned, not with the store.
        """
        ...

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        """Carry out many commits, in order, each atomic by itself.

        Args:
            commits: What to do, at most `MAX_BATCH`. A later commit sees the
                effect of an earlier one of the same namespace.
            owner: Who will follow up the dirty keys. A name that is used for
                one run of one process only.
            lease: For how long nobody else may claim them; zero leaves them to
                whoever claims first.

        Returns:
            One result per commit, in order. A conflict of one does not keep
            the others from happening.

        Raises:
            LimitExceededError: Too many commits, or a key over `MAX_KEY_BYTES`; nothing happened.
            BackendUnavailableError: The store was not reached before the
                deadline. Any of the commits may have happened.
            StorageFullError: No room; none of the commits happened.
            ReadOnlyStorageError: The store accepts no writes; none happened.

        Guarantees:
            When this returns, each `Committed` survives the loss of the
            process, as durable as the store's settings say. Expectations are
            checked and writes, counters, notes and events are applied in one
            step that no other commit can come between.
        """
        ...

    async def counters(self, namespace: str) -> dict[str, int]:
        """Read the counters of a namespace.

        Args:
            namespace: Where to read.

        Returns:
            The sum of what was committed for each; those never touched are absent.

        Raises:
            BackendUnavailableError: The store was not reached before the deadline.
        """
        ...

    async def namespaces(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """List the namespaces that hold or held an entry.

        Args:
            after: Only names greater than this, by code point.
            limit: Most names to return.

        Returns:
            Names in ascending order, the system namespace left out.

        Raises:
            BackendUnavailableError: The store was not reached before the deadline.
        """
        ...

    async def claim(self, *, owner: str, limit: int, lease: timedelta) -> list[DirtyNote]:
        """Take over notes that nobody holds, or whose holder's lease has ended.

        Args:
            owner: Who takes them.
            limit: Most notes to take.
            lease: For how long nobody else may take them.

        Returns:
            The oldest available notes, oldest first. Notes that `owner` itself
            holds under a running lease are not among them.

        Raises:
            BackendUnavailableError: The store was not reached before the
                deadline; notes may be leased all the same, until the lease ends.

        Guarantees:
            Two running leases never hold the same note.
        """
        ...

    async def acknowledge(self, notes: Sequence[DirtyNote]) -> None:
        """Remove notes whose work is done.

        Args:
            notes: Notes from `commit` or `claim`; unknown ones are ignored.

        Raises:
            BackendUnavailableError: The store was not reached before the deadline.

        Guarantees:
            Idempotent. A note made by another commit for the same key stays.
        """
        ...

    async def release(self, notes: Sequence[DirtyNote], *, owner: str, delay: timedelta) -> None:
        """Give notes back whose work failed.

        Args:
            notes: Notes from `commit` or `claim`; unknown ones, and those that
                `owner` no longer holds, are ignored.
            owner: Who held them.
            delay: How long nobody may claim them.

        Raises:
            BackendUnavailableError: The store was not reached before the
                deadline; the notes become available when their lease ends.

        Guarantees:
            Idempotent but for `attempts`, which grows by one each time.
        """
        ...

    async def outstanding(self, ids: Sequence[str]) -> list[bool]:
        """Tell which notes are still in the outbox, whoever holds them.

        Args:
            ids: Ids of notes, at most `MAX_BATCH`. Callers of the engine can
                make them up, so they may be anything.

        Returns:
            One element per id, in order: whether there is a note of that id
            that is not acknowledged.

        Raises:
            LimitExceededError: More than `MAX_BATCH` ids.
            BackendUnavailableError: The store was not reached before the deadline.

        Guarantees:
            A note whose commit was answered before the call, in any process,
            is in the outbox until its acknowledgement has begun. Once it is
            gone it does not come back, nor is its id given to another note.
        """
        ...

    async def outbox_status(self) -> OutboxStatus:
        """Tell how many notes wait and since when.

        Returns:
            Depth and age of the outbox, over all namespaces.

        Raises:
            BackendUnavailableError: The store was not reached before the deadline.
        """
        ...
