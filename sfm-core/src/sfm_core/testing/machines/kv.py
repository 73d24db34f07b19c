"""Random operations on a key-value store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from sfm_core.inprocess import InProcessKeyValueStore, KeyValueState
from sfm_core.model.events import START, EventNote, LoggedEvent, Position
from sfm_core.model.keys import KeyRange
from sfm_core.protocols.kv import (
    Commit,
    CommitResult,
    Committed,
    Conflict,
    DirtyNote,
    KeyValueStore,
    Write,
)
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.machines._base import DEFAULT_SETTINGS, BackendMachine, Fresh, run_machine
from sfm_core.testing.samples import event_note

AnswerT = TypeVar("AnswerT")

_LEASE = timedelta(seconds=30)
_NAMESPACES = st.sampled_from(("one", "One", "two"))
_KEYS = st.sampled_from((b"\x00", b"a", b"a\x00", b"a\x00b", b"ab", b"b", b"\xff", b"\xff\xff"))
_OWNERS = st.sampled_from(("me", "you"))
_PICKS = st.integers(0, 50)
_BOUNDS = _KEYS | st.just(b"")
_WRITES = st.builds(
    Write, _KEYS, st.none() | st.sampled_from((b"", b"v", b"\xff\x00")), st.integers(1, 3)
)
_COMMITS = st.builds(
    Commit,
    namespace=_NAMESPACES,
    writes=st.lists(_WRITES, max_size=3).map(tuple),
    expect=st.dictionaries(_KEYS, st.integers(0, 2), max_size=2),
    counters=st.dictionaries(st.sampled_from(("c", "C")), st.integers(-2, 2), max_size=2),
    dirty=st.lists(_KEYS, max_size=2).map(tuple),
    events=st.lists(st.builds(event_note, _KEYS, st.integers(1, 3)), max_size=2).map(tuple),
)


class KeyValueMachine(BackendMachine[KeyValueStore]):
    """Commits, reads, claims and trims. Ids and positions of the two stores are paired."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[tuple[DirtyNote, DirtyNote]] = []
        self.positions: list[tuple[Position, Position]] = [(START, START)]

    @rule(commits=st.lists(_COMMITS, min_size=1, max_size=3), owner=_OWNERS)
    def commit(self, commits: list[Commit], owner: str) -> None:
        """Commit a few times in one call."""
        actual, expected = self._each(
            lambda store: store.commit(commits, owner=owner, lease=_LEASE)
        )
        assert list(map(_shown, actual)) == list(map(_shown, expected))
        for mine, its in zip(actual, expected, strict=True):
            if isinstance(mine, Committed) and isinstance(its, Committed):
                self.notes += zip(mine.notes, its.notes, strict=True)

    @rule(namespace=_NAMESPACES, keys=st.lists(_KEYS, max_size=4))
    def get(self, namespace: str, keys: list[bytes]) -> None:
        """Read some keys."""
        self.both(lambda store: store.get_many(namespace, keys))

    @rule(
        namespace=_NAMESPACES,
        bounds=st.lists(st.builds(KeyRange, _BOUNDS, st.none() | _BOUNDS, st.booleans())),
        limit=st.integers(1, 4),
    )
    def scan(self, namespace: str, bounds: list[KeyRange], limit: int) -> None:
        """Read some ranges."""
        self.both(lambda store: store.scan(namespace, bounds, limit=limit))

    @rule(after=st.sampled_from(("", "One", "one")), limit=st.integers(1, 3))
    def list_namespaces(self, after: str, limit: int) -> None:
        """List a page of namespaces."""
        self.both(lambda store: store.namespaces(after=after, limit=limit))

    @rule(seconds=st.sampled_from((1, 20, 31)))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.run(self.clock.advance(timedelta(seconds=seconds)))

    @rule(owner=_OWNERS, limit=st.integers(1, 5))
    def claim(self, owner: str, limit: int) -> None:
        """Take notes over."""
        actual, expected = self._each(
            lambda store: store.claim(owner=owner, limit=limit, lease=_LEASE)
        )
        assert list(map(_content, actual)) == list(map(_content, expected))
        claimed = {(mine.id, its.id) for mine, its in zip(actual, expected, strict=True)}
        assert claimed <= {(mine.id, its.id) for mine, its in self.notes}

    @precondition(lambda self: self.notes)
    @rule(picks=st.lists(_PICKS, max_size=3))
    def acknowledge(self, picks: list[int]) -> None:
        """Remove some notes, perhaps again."""
        mine, its = self._picked(picks)
        self.run(self.store.acknowledge(mine))
        self.run(self.model.acknowledge(its))

    @precondition(lambda self: self.notes)
    @rule(picks=st.lists(_PICKS, max_size=1), owner=_OWNERS, delay=st.integers(0, 40))
    def release(self, picks: list[int], owner: str, delay: int) -> None:
        """Give some notes back, perhaps those of somebody else."""
        mine, its = self._picked(picks)
        rest = timedelta(seconds=delay)
        self.run(self.store.release(mine, owner=owner, delay=rest))
        self.run(self.model.release(its, owner=owner, delay=rest))

    @precondition(lambda self: self.notes)
    @rule(picks=st.lists(_PICKS, max_size=4))
    def look_for(self, picks: list[int]) -> None:
        """Ask whether some notes are still there."""
        mine, its = self._picked(picks)
        actual = self.run(self.store.outstanding([note.id for note in mine]))
        assert actual == self.run(self.model.outstanding([note.id for note in its]))

    @rule(pick=_PICKS, limit=st.integers(1, 4))
    def read_events(self, pick: int, limit: int) -> None:
        """Read the log from a position that is known."""
        mine, its = self.positions[pick % len(self.positions)]
        actual = self.run(self.store.read_events(after=mine, limit=limit))
        expected = self.run(self.model.read_events(after=its, limit=limit))
        assert list(map(_event, actual)) == list(map(_event, expected))
        pairs = zip(actual, expected, strict=True)
        self.positions += [(one.position, other.position) for one, other in pairs]

    @rule(pick=_PICKS, limit=st.integers(1, 4))
    def count_events(self, pick: int, limit: int) -> None:
        """Count the log from a position that is known."""
        mine, its = self.positions[pick % len(self.positions)]
        counted = self.run(self.store.count_events(after=mine, limit=limit))
        assert counted == self.run(self.model.count_events(after=its, limit=limit))

    @rule(pick=_PICKS)
    def any_trimmed(self, pick: int) -> None:
        """Ask whether what follows a position that is known is still there."""
        mine, its = self.positions[pick % len(self.positions)]
        actual = self.run(self.store.any_trimmed(after=mine))
        assert actual == self.run(self.model.any_trimmed(after=its))

    @rule()
    def end(self) -> None:
        """Go to the end of the log."""
        ends = self.run(self.store.end_of_events()), self.run(self.model.end_of_events())
        assert (ends[0] == START) == (ends[1] == START)
        self.positions.append(ends)

    @rule(pick=_PICKS)
    def trim(self, pick: int) -> None:
        """Cut the log at a position that is known."""
        mine, its = self.positions[pick % len(self.positions)]
        removed = self.run(self.store.trim_events(through=mine))
        assert removed == self.run(self.model.trim_events(through=its))

    @invariant()
    def totals_agree(self) -> None:
        """Counters and the outbox are the same on both sides."""
        self.both(lambda store: store.outbox_status())
        for namespace in ("one", "One", "two"):
            self._compare_counters(namespace)

    def _compare_counters(self, namespace: str) -> None:
        # A counter that adds up to nothing may be kept or forgotten.
        actual, expected = self._each(lambda store: store.counters(namespace))
        assert _nonzero(actual) == _nonzero(expected)

    def _each(
        self, call: Callable[[KeyValueStore], Coroutine[None, None, AnswerT]]
    ) -> tuple[AnswerT, AnswerT]:
        return self.run(call(self.store)), self.run(call(self.model))

    def _picked(self, picks: list[int]) -> tuple[list[DirtyNote], list[DirtyNote]]:
        pairs = [self.notes[pick % len(self.notes)] for pick in picks]
        return [mine for mine, _ in pairs], [its for _, its in pairs]


def check_key_value_store(fresh: Fresh[KeyValueStore], how: settings = DEFAULT_SETTINGS) -> None:
    """Compare a key-value store with the model, over random operations.

    Args:
        fresh: Begins new, empty data and returns what makes a store on them.
        how: How many examples, and how long.

    Raises:
        AssertionError: The store answered otherwise than the model.
    """
    run_machine(KeyValueMachine, fresh, _model, how)


def _model(clock: ManualClock) -> Callable[[], InProcessKeyValueStore]:
    state = KeyValueState()
    return lambda: InProcessKeyValueStore(state=state, clock=clock)


def _shown(result: CommitResult) -> list[tuple[str, bytes, int]] | Conflict:
    if isinstance(result, Conflict):
        return result
    return list(map(_content, result.notes))


def _content(note: DirtyNote) -> tuple[str, bytes, int]:
    return note.namespace, note.key, note.attempts


def _event(event: LoggedEvent) -> tuple[str, EventNote]:
    return event.namespace, event.note


def _nonzero(counters: Mapping[str, int]) -> dict[str, int]:
    return {name: value for name, value in counters.items() if value}
