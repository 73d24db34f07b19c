"""Turning commits into calls of the server's function, and its answers into results."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sfm_backend_postgres._packing import (
    pack_bigints,
    pack_bytes,
    pack_integers,
    pack_texts,
    pack_times,
)
from sfm_core.protocols.kv import (
    Commit,
    CommitResult,
    Committed,
    Conflict,
    DirtyNote,
    Entry,
    Write,
)

# Enough that commits seldom wait for one of another key; few enough that one commit
# with very many keys does not exhaust the server's table of locks.
STRIPES = 256


class Answer(NamedTuple):
    """What `sfm.commit` returns; see there."""

    refused: list[int]
    notes: list[int]
    found_places: list[int] | None
    found_keys: list[bytes] | None
    found_versions: list[int] | None
    found_values: list[bytes] | None


@dataclass(frozen=True, slots=True)
class Call:
    """Commits that one call carries out: none rests on what one before it writes.

    Attributes:
        commits: The commits, in order.
    """

    commits: Sequence[Commit]

    def parameters(self) -> dict[str, object]:
        """Return what `sfm.commit` is told of the commits."""
        placed = list(enumerate(self.commits, 1))
        expected = [(place, *pair) for place, one in placed for pair in one.expect.items()]
        written = [(place, write) for place, one in placed for write in last_writes(one)]
        counted = [(place, *pair) for place, one in placed for pair in one.counters.items()]
        dirty = [(place, key) for place, one in placed for key in one.dirty]
        events = [(place, note) for place, one in placed for note in one.events]
        return {
            "namespaces": pack_texts([one.namespace for one in self.commits]),
            "expect_places": pack_integers([place for place, _, _ in expected]),
            "expect_keys": pack_bytes([key for _, key, _ in expected]),
            "expect_versions": pack_bigints([version for _, _, version in expected]),
            "write_places": pack_integers([place for place, _ in written]),
            "write_keys": pack_bytes([write.key for _, write in written]),
            "write_versions": pack_bigints([write.version for _, write in written]),
            "write_values": pack_bytes([write.value for _, write in written]),
            "count_places": pack_integers([place for place, _, _ in counted]),
            "count_names": pack_texts([name for _, name, _ in counted]),
            "count_amounts": pack_bigints([amount for _, _, amount in counted]),
            "dirty_places": pack_integers([place for place, _ in dirty]),
            "dirty_keys": pack_bytes([key for _, key in dirty]),
            "event_places": pack_integers([place for place, _ in events]),
            "event_types": pack_texts([note.type.value for _, note in events]),
            "event_keys": pack_bytes([note.key for _, note in events]),
            "event_versions": pack_bigints([note.version for _, note in events]),
            "event_times": pack_times([note.at for _, note in events]),
        }

    def results(self, answer: Answer) -> list[CommitResult]:
        """Return the result of each commit."""
        current = _current(answer)
        ids = iter(answer.notes)
        return [
            _conflict(one, current.get(place, {}))
            if place in answer.refused
            else _committed(one, ids)
            for place, one in enumerate(self.commits, 1)
        ]


def calls(commits: Iterable[Commit]) -> list[Call]:
    """Spread commits over as few calls as their order allows."""
    found: list[list[Commit]] = []
    written: set[tuple[str, bytes]] = set()
    for commit in commits:
        writes = {(commit.namespace, write.key) for write in commit.writes}
        touched = writes.union((commit.namespace, key) for key in commit.expect)
        if not found or not written.isdisjoint(touched):
            found.append([])
            written.clear()
        found[-1].append(commit)
        written |= writes
    return list(map(Call, found))


def stripes(commits: Iterable[Commit]) -> list[int]:
    """Return the numbers of the locks that commits need, ascending.

    The keys of events count too: their order in the log is that of their commits.
    """
    return sorted(
        {
            zlib.crc32(key, zlib.crc32(commit.namespace.encode())) % STRIPES
            for commit in commits
            for key in _keys(commit)
        }
    )


def last_writes(commit: Commit) -> Iterable[Write]:
    """Return the last write of each key of a commit.

    Before a removal stands the put that it takes back, if there is one: it makes
    the namespace known.
    """
    last = {write.key: write for write in commit.writes}
    puts = {write.key: write for write in commit.writes if write.value is not None}
    taken_back = (puts[key] for key, one in last.items() if one.value is None and key in puts)
    return [*taken_back, *last.values()]


def _current(answer: Answer) -> Mapping[int, dict[bytes, Entry]]:
    current: dict[int, dict[bytes, Entry]] = {}
    for place, key, version, value in zip(
        answer.found_places or (),
        answer.found_keys or (),
        answer.found_versions or (),
        answer.found_values or (),
        strict=True,
    ):
        current.setdefault(place, {})[key] = Entry(value, version)
    return current


def _conflict(commit: Commit, current: Mapping[bytes, Entry]) -> Conflict:
    return Conflict(current={key: current.get(key) for key in commit.expect})


def _committed(commit: Commit, ids: Iterator[int]) -> Committed:
    return Committed(
        notes=tuple(
            DirtyNote(id=str(next(ids)), namespace=commit.namespace, key=key)
            for key in commit.dirty
        )
    )


def _keys(commit: Commit) -> Iterable[bytes]:
    yield from commit.expect
    yield from (write.key for write in commit.writes)
    yield from (note.key for note in commit.events)
