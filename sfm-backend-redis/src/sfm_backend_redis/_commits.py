"""Commits as the script takes them, and what it answers."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from sfm_core.porting import to_microseconds
from sfm_core.protocols.kv import Commit, CommitResult, Committed, Conflict, DirtyNote, Entry

# MessagePack with lengths of four bytes, because Lua's decoder takes no other bytes than "raw"
# ones, which not every encoder writes any more.
_HEAD = struct.Struct(">BI").pack
_ARRAY, _RAW = 0xDD, 0xDB


def encode_commits(commits: Sequence[Commit], names: Sequence[str]) -> bytes:
    """Encode commits for `commit.lua`.

    One argument costs the driver and the server much less than many.

    Args:
        commits: What is to be done.
        names: Namespaces of the call, in the order of its keys.

    Returns:
        The argument.
    """
    places = {name: b"%d" % place for place, name in enumerate(names)}
    return _array([_encoded(commit, places[commit.namespace]) for commit in commits])


def read_results(
    commits: Sequence[Commit],
    answers: Sequence[Sequence[int | bytes | None]],
    entry: Callable[[bytes, bytes], Entry],
) -> list[CommitResult]:
    """Read what `commit.lua` answered.

    Args:
        commits: What was to be done.
        answers: One answer per commit.
        entry: Reads the entry that is stored under a key.

    Returns:
        One result per commit.
    """
    return [_result(commit, answer, entry) for commit, answer in zip(commits, answers, strict=True)]


def _encoded(commit: Commit, place: bytes) -> bytes:
    last = {write.key: write for write in commit.writes}.values()
    name = commit.namespace.encode()
    puts: list[bytes] = []
    for write in last:
        if write.value is not None:
            puts += (write.key, b"%d %b" % (write.version, write.value))
    expect: list[bytes] = []
    for key, version in commit.expect.items():
        expect += (key, b"%d" % version)
    counters: list[bytes] = []
    for counter, amount in commit.counters.items():
        counters += (counter.encode(), b"%d" % amount)
    events: list[bytes] = []
    for note in commit.events:
        at = to_microseconds(note.at)
        events += (note.type.value.encode(), note.key, b"%d" % note.version, b"%d" % at)
    parts = (
        expect,
        puts,
        [write.key for write in last if write.value is None],
        counters,
        commit.dirty,
        events,
    )
    # Also where the last write of a key takes back an earlier one.
    used = any(write.value is not None for write in commit.writes)
    heads = map(_raw, (place, name, name if used else b""))
    return _array([*heads, *(_array([*map(_raw, part)]) for part in parts)])


def _array(items: Sequence[bytes]) -> bytes:
    return _HEAD(_ARRAY, len(items)) + b"".join(items)


def _raw(content: bytes) -> bytes:
    return _HEAD(_RAW, len(content)) + content


def _result(
    commit: Commit,
    answer: Sequence[int | bytes | None],
    entry: Callable[[bytes, bytes], Entry],
) -> CommitResult:
    happened, *rest = answer
    if happened:
        (first,) = rest
        assert isinstance(first, int)  # noqa: S101 - the script returns a number here
        return Committed(
            notes=tuple(
                DirtyNote(id=str(number), namespace=commit.namespace, key=key)
                for number, key in enumerate(commit.dirty, start=first)
            )
        )
    return Conflict(
        current={
            key: entry(key, stored) if isinstance(stored, bytes) else None
            for key, stored in zip(commit.expect, rest, strict=True)
        }
    )
