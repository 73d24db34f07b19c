"""Commits as the script takes them, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sfm_backend_redis._connect import Argument
from sfm_core.porting import to_microseconds
from sfm_core.protocols.kv import Commit, CommitResult, Committed, Conflict, DirtyNote, Entry


def encode_commits(commits: Sequence[Commit], names: Sequence[str]) -> Iterator[Argument]:
    """Encode commits for `commit.lua`.

    Args:
        commits: What is to be done.
        names: Namespaces of the call, in the order of its keys.

    Yields:
        The arguments, one commit after the other.
    """
    places = {name: place for place, name in enumerate(names)}
    for commit in commits:
        used = any(write.value is not None for write in commit.writes)
        parts = _parts(commit)
        yield from (places[commit.namespace], commit.namespace, commit.namespace if used else "")
        yield from map(len, parts)
        for part in parts:
            yield from part


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


def _parts(commit: Commit) -> tuple[Sequence[Argument], ...]:
    last = {write.key: write for write in commit.writes}.values()
    puts: list[Argument] = []
    for write in last:
        if write.value is not None:
            puts += (write.key, b"%d %b" % (write.version, write.value))
    events: list[Argument] = []
    for note in commit.events:
        events += (note.type.value, note.key, note.version, to_microseconds(note.at))
    return (
        [part for expectation in commit.expect.items() for part in expectation],
        puts,
        [write.key for write in last if write.value is None],
        [part for counter in commit.counters.items() for part in counter],
        commit.dirty,
        events,
    )


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
