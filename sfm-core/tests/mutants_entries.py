"""Key-value stores that break one promise each. The kit must notice every one.

Each is listed at the end with the test that has to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sfm_core.inprocess import InProcessKeyValueStore
from sfm_core.model.keys import KeyRange
from sfm_core.protocols.kv import (
    MAX_KEY_BYTES,
    Commit,
    CommitResult,
    Committed,
    Conflict,
    Entry,
    Write,
)

Found = list[list[tuple[bytes, Entry]]]


class OrderOfGetManyLost(InProcessKeyValueStore):
    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        return await super().get_many(namespace, sorted(keys))


class DuplicatesOfGetManyLost(InProcessKeyValueStore):
    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        return await super().get_many(namespace, list(dict.fromkeys(keys)))


class EmptyValueReadAsAbsent(InProcessKeyValueStore):
    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        found = await super().get_many(namespace, keys)
        return [entry if entry and entry.value else None for entry in found]


class VersionKeptAsFloat(InProcessKeyValueStore):
    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        found = await super().get_many(namespace, keys)
        return [entry and Entry(entry.value, int(float(entry.version))) for entry in found]


class KeysAreLossyText(InProcessKeyValueStore):
    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        return await super().get_many(namespace, [_lossy(key) for key in keys])

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        lossy = [
            replace(c, writes=tuple(replace(w, key=_lossy(w.key)) for w in c.writes))
            for c in commits
        ]
        return await super().commit(lossy, owner=owner, lease=lease)


class KeysEndAtNul(InProcessKeyValueStore):
    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        return await super().get_many(namespace, [key.split(b"\0")[0] for key in keys])


class NamespacesIgnoreCase(InProcessKeyValueStore):
    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        return await super().get_many(namespace.casefold(), keys)

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        folded = [replace(c, namespace=c.namespace.casefold()) for c in commits]
        return await super().commit(folded, owner=owner, lease=lease)


class ScanLeaksOtherTenants(InProcessKeyValueStore):
    async def scan(self, namespace: str, ranges: Sequence[KeyRange], *, limit: int) -> Found:
        found = await super().scan(namespace, ranges, limit=limit)
        for other in await self.namespaces():
            if other != namespace and other.startswith(namespace):
                for part, more in zip(
                    found, await super().scan(other, ranges, limit=limit), strict=True
                ):
                    part.extend(more)
        return found


class ScanIncludesItsEnd(InProcessKeyValueStore):
    async def scan(self, namespace: str, ranges: Sequence[KeyRange], *, limit: int) -> Found:
        wider = [
            KeyRange(r.start, None if r.end is None else r.end + b"\0", r.reverse) for r in ranges
        ]
        return await super().scan(namespace, wider, limit=limit)


class ScanForgetsToReverse(InProcessKeyValueStore):
    async def scan(self, namespace: str, ranges: Sequence[KeyRange], *, limit: int) -> Found:
        forth = [KeyRange(r.start, r.end) for r in ranges]
        return await super().scan(namespace, forth, limit=limit)


class ScanReversesAfterTheLimit(InProcessKeyValueStore):
    async def scan(self, namespace: str, ranges: Sequence[KeyRange], *, limit: int) -> Found:
        forth = [KeyRange(r.start, r.end) for r in ranges]
        found = await super().scan(namespace, forth, limit=limit)
        return [
            part[::-1] if bounds.reverse else part
            for bounds, part in zip(ranges, found, strict=True)
        ]


class ScanLimitCountsOverAllRanges(InProcessKeyValueStore):
    async def scan(self, namespace: str, ranges: Sequence[KeyRange], *, limit: int) -> Found:
        found = await super().scan(namespace, ranges, limit=limit)
        left = limit
        for part in found:
            del part[left:]
            left -= len(part)
        return found


class ListsTheSystemNamespace(InProcessKeyValueStore):
    async def namespaces(self, *, after: str = "", limit: int = 1000) -> list[str]:
        return ["", *await super().namespaces(after=after, limit=limit)]


class ForgetsEmptiedNamespaces(InProcessKeyValueStore):
    async def namespaces(self, *, after: str = "", limit: int = 1000) -> list[str]:
        names = await super().namespaces(after=after, limit=limit)
        everything = [KeyRange(b"", None)]
        return [name for name in names if (await self.scan(name, everything, limit=1))[0]]


class ExpectationsIgnored(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        return await super().commit(
            [replace(c, expect={}) for c in commits], owner=owner, lease=lease
        )


class ExpectationsAreAtLeast(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        loose: list[Commit] = []
        for commit in commits:
            found = await self.get_many(commit.namespace, list(commit.expect))
            now = {k: e.version if e else 0 for k, e in zip(commit.expect, found, strict=True)}
            loose.append(
                replace(
                    commit, expect={k: max(v, now[k]) if v else v for k, v in commit.expect.items()}
                )
            )
        return await super().commit(loose, owner=owner, lease=lease)


class ExpectationsOnlyOnWrittenKeys(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        narrowed: list[Commit] = []
        for commit in commits:
            written = {write.key for write in commit.writes}
            kept = {key: v for key, v in commit.expect.items() if key in written}
            narrowed.append(replace(commit, expect=kept))
        return await super().commit(narrowed, owner=owner, lease=lease)


class ConflictTellsOnlyWhatDiffers(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        results = await super().commit(commits, owner=owner, lease=lease)
        return [
            Conflict(
                current={
                    key: entry
                    for key, entry in result.current.items()
                    if (entry.version if entry else 0) != commit.expect[key]
                }
            )
            if isinstance(result, Conflict)
            else result
            for commit, result in zip(commits, results, strict=True)
        ]


class CommitIsNotAtomic(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        results = await super().commit(commits, owner=owner, lease=lease)
        for commit, result in zip(commits, results, strict=True):
            if isinstance(result, Conflict):
                self._state.write(commit.namespace, commit.writes[:1])
        return results


class CounterCountsOnConflict(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        results = await super().commit(commits, owner=owner, lease=lease)
        for commit, result in zip(commits, results, strict=True):
            if isinstance(result, Conflict):
                self._state.add(commit.namespace, commit.counters)
        return results


class EventLoggedOnConflict(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        results = await super().commit(commits, owner=owner, lease=lease)
        for commit, result in zip(commits, results, strict=True):
            if isinstance(result, Conflict):
                self._state.log(commit.namespace, commit.events)
        return results


class OneConflictStopsTheRest(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        results: list[CommitResult] = []
        for commit in commits:
            if any(isinstance(result, Conflict) for result in results):
                results.append(Conflict(current={}))
            else:
                results += await super().commit([commit], owner=owner, lease=lease)
        return results


class CheckAndWriteAreTwoSteps(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        results: list[CommitResult] = []
        for commit in commits:
            probe = replace(commit, writes=(), counters={}, dirty=(), events=())
            [verdict] = await super().commit([probe], owner=owner, lease=lease)
            if isinstance(verdict, Committed):
                blind = replace(commit, expect={})
                [verdict] = await super().commit([blind], owner=owner, lease=lease)
            results.append(verdict)
        return results


class LaterCommitsDoNotSeeEarlierOnes(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        probes = [replace(c, writes=(), counters={}, dirty=(), events=()) for c in commits]
        verdicts = await super().commit(probes, owner=owner, lease=lease)
        return [
            self._apply(replace(commit, expect={}), owner, lease)
            if isinstance(verdict, Committed)
            else verdict
            for commit, verdict in zip(commits, verdicts, strict=True)
        ]


class CountersAreFloats(InProcessKeyValueStore):
    async def counters(self, namespace: str) -> dict[str, int]:
        return {
            name: int(float(value)) for name, value in (await super().counters(namespace)).items()
        }


class WritesAreLostWhenClosed(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        results = await super().commit(commits, owner=owner, lease=lease)
        self._unsaved = [*getattr(self, "_unsaved", []), *commits]
        return results

    async def __aexit__(self, *_: object) -> None:
        for commit in getattr(self, "_unsaved", []):
            self._state.write(commit.namespace, [Write(w.key, None) for w in commit.writes])
        await super().__aexit__(None, None, None)


class LongKeysOfEventsAreCut(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        cut = [
            replace(c, events=tuple(replace(e, key=e.key[:MAX_KEY_BYTES]) for e in c.events))
            for c in commits
        ]
        return await super().commit(cut, owner=owner, lease=lease)


class WorksWhenItIsClosed(InProcessKeyValueStore):
    async def _turn(self) -> None:
        await asyncio.sleep(0)


ENTRY_MUTANTS: dict[type[InProcessKeyValueStore], str] = {
    OrderOfGetManyLost: "test_get_many_answers_in_the_order_of_the_keys",
    DuplicatesOfGetManyLost: "test_get_many_answers_in_the_order_of_the_keys",
    EmptyValueReadAsAbsent: "test_values_come_back_byte_for_byte",
    VersionKeptAsFloat: "test_versions_come_back_exactly",
    KeysAreLossyText: "test_keys_that_look_alike_stay_apart",
    KeysEndAtNul: "test_keys_that_look_alike_stay_apart",
    NamespacesIgnoreCase: "test_namespaces_that_look_alike_stay_apart",
    ScanLeaksOtherTenants: "test_a_scan_stays_in_its_namespace",
    ScanIncludesItsEnd: "test_a_scan_includes_its_start_and_excludes_its_end",
    ScanForgetsToReverse: "test_paging_sees_each_stable_entry_once_while_others_come_and_go",
    ScanReversesAfterTheLimit: "test_a_scan_finds_what_sorting_finds",
    ScanLimitCountsOverAllRanges: "test_ranges_are_answered_in_order_each_up_to_the_limit",
    ListsTheSystemNamespace: "test_the_system_namespace_is_not_listed",
    ForgetsEmptiedNamespaces: "test_a_namespace_that_was_emptied_is_still_listed",
    ExpectationsIgnored: "test_an_expectation_is_met_by_exactly_its_version",
    ExpectationsAreAtLeast: "test_an_expectation_is_met_by_exactly_its_version",
    ExpectationsOnlyOnWrittenKeys: "test_a_key_can_be_expected_without_being_written",
    ConflictTellsOnlyWhatDiffers: "test_a_conflict_tells_what_stands_under_every_expected_key",
    CommitIsNotAtomic: "test_a_conflict_leaves_nothing_behind",
    CounterCountsOnConflict: "test_a_conflict_leaves_nothing_behind",
    EventLoggedOnConflict: "test_a_conflict_leaves_nothing_behind",
    OneConflictStopsTheRest: "test_one_conflict_does_not_keep_the_others_from_happening",
    CheckAndWriteAreTwoSteps: "test_many_tasks_incrementing_one_entry_lose_nothing",
    LaterCommitsDoNotSeeEarlierOnes: "test_a_later_commit_of_a_call_sees_an_earlier_one",
    CountersAreFloats: "test_counters_add_up",
    WritesAreLostWhenClosed: "test_what_was_written_is_there_after_opening_again",
    LongKeysOfEventsAreCut: "test_a_longer_key_is_refused_wherever_it_stands",
    WorksWhenItIsClosed: "test_nothing_works_after_it_was_closed",
}


def _lossy(key: bytes) -> bytes:
    return key.decode(errors="replace").encode()
