"""Contract of the key-value port: commits, expectations and counters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from sfm_core.errors import LimitExceededError
from sfm_core.model.events import START
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.kv import (
    MAX_KEY_BYTES,
    Commit,
    CommitResult,
    Committed,
    Conflict,
    Entry,
    KeyValueStore,
    Write,
)
from sfm_core.testing.contracts._kv_base import OWNER, KeyValueTests
from sfm_core.testing.samples import event_note


class CommitTests(KeyValueTests):
    """`commit` and `counters`."""

    async def test_a_commit_puts_replaces_and_removes(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """All three kinds of write happen, with the versions that came with them."""
        await self.put(store, namespace, {b"old": b"1", b"gone": b"1"})
        writes = (Write(b"new", b"n", 5), Write(b"old", b"2", 2), Write(b"gone", None))
        await self.commit(store, Commit(namespace=namespace, writes=writes))
        found = await store.get_many(namespace, [b"new", b"old", b"gone"])
        assert found == [Entry(b"n", 5), Entry(b"2", 2), None]

    async def test_of_several_writes_for_one_key_the_last_counts(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Writes of a commit happen in order."""
        writes = (Write(b"k", b"1", 1), Write(b"k", None), Write(b"k", b"3", 3))
        await self.commit(store, Commit(namespace=namespace, writes=writes))
        assert await store.get_many(namespace, [b"k"]) == [Entry(b"3", 3)]

    async def test_removing_what_is_not_there_is_no_error(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """A removal says how things are to be afterwards."""
        await self.commit(store, Commit(namespace=namespace, writes=(Write(b"k", None),)))
        assert await store.get_many(namespace, [b"k"]) == [None]

    async def test_a_commit_of_nothing_happens(self, store: KeyValueStore, namespace: str) -> None:
        """It has no notes."""
        assert await self.commit(store, Commit(namespace=namespace)) == Committed()

    async def test_a_conflict_leaves_nothing_behind(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Neither writes nor counters, notes or events: all or none."""
        await self.put(store, namespace, {b"k": b"v"}, 2)
        result = await self._try(
            store,
            Commit(
                namespace=namespace,
                writes=(Write(b"a", b"x"), Write(b"k", None)),
                expect={b"k": 1},
                counters={"c": 1},
                dirty=(b"a",),
                events=(event_note(b"a"),),
            ),
        )
        assert isinstance(result, Conflict)
        assert await store.get_many(namespace, [b"a", b"k"]) == [None, Entry(b"v", 2)]
        assert await store.counters(namespace) == {}
        assert (await store.outbox_status()).depth == 0
        assert await store.read_events(after=START, limit=10) == []

    async def test_a_commit_brings_all_of_its_parts(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Writes, counters, notes and events are there when it returns."""
        result = await self.commit(
            store,
            Commit(
                namespace=namespace,
                writes=(Write(b"a", b"x"),),
                expect={b"a": 0},
                counters={"c": 1},
                dirty=(b"a",),
                events=(event_note(b"a"),),
            ),
        )
        assert [note.key for note in result.notes] == [b"a"]
        assert await store.get_many(namespace, [b"a"]) == [Entry(b"x", 1)]
        assert await store.counters(namespace) == {"c": 1}
        assert (await store.outbox_status()).depth == 1
        assert len(await store.read_events(after=START, limit=10)) == 1

    @pytest.mark.parametrize(
        ("there", "expected", "happens"),
        [(0, 0, True), (0, 1, False), (3, 3, True), (3, 0, False), (3, 2, False), (3, 4, False)],
    )
    async def test_an_expectation_is_met_by_exactly_its_version(
        self, store: KeyValueStore, namespace: str, there: int, expected: int, *, happens: bool
    ) -> None:
        """0 stands for "absent"; neither an older nor a newer version will do."""
        if there:
            await self.put(store, namespace, {b"k": b"v"}, there)
        commit = Commit(
            namespace=namespace, writes=(Write(b"k", b"w", 9),), expect={b"k": expected}
        )
        result = await self._try(store, commit)
        assert isinstance(result, Committed) is happens
        [found] = await store.get_many(namespace, [b"k"])
        assert (found == Entry(b"w", 9)) is happens

    async def test_a_removed_entry_is_absent_to_expectations(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Nothing of its version remains."""
        await self.put(store, namespace, {b"k": b"v"}, 7)
        await self.commit(store, Commit(namespace=namespace, writes=(Write(b"k", None),)))
        commit = Commit(namespace=namespace, writes=(Write(b"k", b"w"),), expect={b"k": 0})
        assert isinstance(await self._try(store, commit), Committed)

    async def test_a_key_can_be_expected_without_being_written(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """A commit may depend on an entry that it leaves alone."""
        await self.put(store, namespace, {b"guard": b"g"}, 2)
        for version, kind in ((1, Conflict), (2, Committed)):
            commit = Commit(
                namespace=namespace, writes=(Write(b"k", b"v"),), expect={b"guard": version}
            )
            assert isinstance(await self._try(store, commit), kind)
        assert await store.get_many(namespace, [b"guard"]) == [Entry(b"g", 2)]

    async def test_a_conflict_tells_what_stands_under_every_expected_key(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Also under those that were as expected, so that no second read is needed."""
        await self.put(store, namespace, {b"a": b"1", b"b": b"2"}, 2)
        commit = Commit(
            namespace=namespace, writes=(Write(b"z", b""),), expect={b"a": 2, b"b": 1, b"c": 0}
        )
        result = await self._try(store, commit)
        expected = {b"a": Entry(b"1", 2), b"b": Entry(b"2", 2), b"c": None}
        assert result == Conflict(current=expected)

    async def test_expectations_of_one_namespace_do_not_look_at_another(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """The same key elsewhere is another entry."""
        await self.put(store, namespace + "2", {b"k": b"v"}, 4)
        commit = Commit(namespace=namespace, writes=(Write(b"k", b"w"),), expect={b"k": 0})
        assert isinstance(await self._try(store, commit), Committed)

    async def test_one_conflict_does_not_keep_the_others_from_happening(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Each commit of a call is for itself, and results come in order."""
        commits = [
            Commit(namespace=namespace, writes=(Write(b"a", b"1"),), dirty=(b"a",)),
            Commit(namespace=namespace, writes=(Write(b"b", b"1"),), expect={b"b": 9}),
            Commit(namespace=namespace + "2", writes=(Write(b"c", b"1"),), dirty=(b"c", b"d")),
        ]
        first, second, third = await store.commit(commits, owner=OWNER, lease=self.lease)
        assert isinstance(first, Committed)
        assert second == Conflict(current={b"b": None})
        assert isinstance(third, Committed)
        assert [note.key for note in (*first.notes, *third.notes)] == [b"a", b"c", b"d"]
        assert await store.get_many(namespace, [b"a", b"b"]) == [Entry(b"1", 1), None]
        assert await store.get_many(namespace + "2", [b"c"]) == [Entry(b"1", 1)]

    async def test_a_later_commit_of_a_call_sees_an_earlier_one(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """So a process may group the writes of many callers without reordering them."""
        commits = [
            Commit(namespace=namespace, writes=(Write(b"k", b"1", 1),), expect={b"k": 0}),
            Commit(namespace=namespace, writes=(Write(b"k", b"x", 1),), expect={b"k": 0}),
            Commit(namespace=namespace, writes=(Write(b"k", b"2", 2),), expect={b"k": 1}),
            Commit(namespace=namespace, writes=(Write(b"k", None),), expect={b"k": 2}),
            Commit(namespace=namespace, writes=(Write(b"k", b"3", 3),), expect={b"k": 0}),
        ]
        results = await store.commit(commits, owner=OWNER, lease=self.lease)
        assert results[1] == Conflict(current={b"k": Entry(b"1", 1)})
        assert [isinstance(result, Committed) for result in results] == [
            True,
            False,
            True,
            True,
            True,
        ]
        assert await store.get_many(namespace, [b"k"]) == [Entry(b"3", 3)]

    async def test_counters_add_up(self, store: KeyValueStore, namespace: str) -> None:
        """Also below zero and past what a float holds; those never touched are absent."""
        for amounts in ({"a": 1, "b": -2}, {"a": 2}, {"large": 2**53}, {"large": 1}):
            await self.commit(store, Commit(namespace=namespace, counters=amounts))
        assert await store.counters(namespace) == {"a": 3, "b": -2, "large": 2**53 + 1}

    async def test_counters_belong_to_their_namespace(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """The same name elsewhere counts for itself."""
        await self.commit(store, Commit(namespace=namespace, counters={"c": 1}))
        assert await store.counters(namespace + "2") == {}

    async def test_many_tasks_incrementing_one_entry_lose_nothing(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Checking the expectation and writing are one step that no commit comes between."""
        async with asyncio.TaskGroup() as group:
            for _ in range(64):
                group.create_task(self._increment(store, namespace))
        assert await store.get_many(namespace, [b"n"]) == [Entry(b"64", 64)]
        assert await store.counters(namespace) == {"n": 64}

    async def test_of_many_tasks_creating_one_entry_one_succeeds(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """And each of the others is told what stands there now."""
        commits = [
            Commit(namespace=namespace, writes=(Write(b"k", b"%d" % n),), expect={b"k": 0})
            for n in range(32)
        ]
        results = await asyncio.gather(*(self._try(store, commit) for commit in commits))
        [winner] = await store.get_many(namespace, [b"k"])
        conflicts = [result for result in results if isinstance(result, Conflict)]
        assert len(conflicts) == 31
        assert all(conflict.current == {b"k": winner} for conflict in conflicts)

    async def test_two_instances_do_not_overwrite_each_other(
        self, make: Callable[[], KeyValueStore], namespace: str
    ) -> None:
        """Expectations hold across connections and processes."""
        async with make() as one, make() as other:
            async with asyncio.TaskGroup() as group:
                for number in range(32):
                    group.create_task(self._increment((one, other)[number % 2], namespace))
            assert await one.get_many(namespace, [b"n"]) == [Entry(b"32", 32)]

    async def test_the_longest_key_is_accepted(self, store: KeyValueStore, namespace: str) -> None:
        """It comes back as it was."""
        longest = b"k" * MAX_KEY_BYTES
        await self.put(store, namespace, {longest: b"v"})
        assert await store.get_many(namespace, [longest]) == [Entry(b"v", 1)]

    @pytest.mark.parametrize("part", ["writes", "expect", "dirty", "events"])
    async def test_a_longer_key_is_refused_wherever_it_stands(
        self, store: KeyValueStore, namespace: str, part: str
    ) -> None:
        """And nothing of the whole call happens then, not even its good commits."""
        key = b"k" * (MAX_KEY_BYTES + 1)
        good = Commit(namespace=namespace, writes=(Write(b"good", b""),))
        bad = {
            "writes": Commit(namespace=namespace, writes=(Write(key, b""),)),
            "expect": Commit(namespace=namespace, expect={key: 0}),
            "dirty": Commit(namespace=namespace, dirty=(key,)),
            "events": Commit(namespace=namespace, events=(event_note(key),)),
        }[part]
        with pytest.raises(LimitExceededError):
            await store.commit([good, bad], owner=OWNER, lease=self.lease)
        assert await store.get_many(namespace, [b"good"]) == [None]

    async def test_too_many_commits_are_refused(self, store: KeyValueStore, namespace: str) -> None:
        """And nothing happens."""
        commits = [Commit(namespace=namespace, counters={"c": 1})] * (MAX_BATCH + 1)
        with pytest.raises(LimitExceededError):
            await store.commit(commits, owner=OWNER, lease=self.lease)
        assert await store.counters(namespace) == {}

    async def test_many_writes_in_one_commit(self, store: KeyValueStore, namespace: str) -> None:
        """A commit is not limited by how many parameters a driver takes."""
        values = {b"%05d" % number: b"%d" % number for number in range(5000)}
        await self.put(store, namespace, values)
        found = await store.get_many(namespace, list(values))
        assert [entry.value for entry in found if entry] == list(values.values())

    async def test_counters_are_there_after_opening_again(
        self, make: Callable[[], KeyValueStore], namespace: str
    ) -> None:
        """Counters last as long as the entries they count."""
        async with make() as store:
            await self.commit(store, Commit(namespace=namespace, counters={"c": 3}))
        async with make() as store:
            assert await store.counters(namespace) == {"c": 3}

    async def _try(self, store: KeyValueStore, commit: Commit) -> CommitResult:
        [result] = await store.commit([commit], owner=OWNER, lease=self.lease)
        return result

    async def _increment(self, store: KeyValueStore, namespace: str) -> None:
        [entry] = await store.get_many(namespace, [b"n"])
        while True:
            version = entry.version if entry else 0
            value = int(entry.value) + 1 if entry else 1
            commit = Commit(
                namespace=namespace,
                writes=(Write(b"n", b"%d" % value, version + 1),),
                expect={b"n": version},
                counters={"n": 1},
            )
            result = await self._try(store, commit)
            if isinstance(result, Committed):
                return
            entry = result.current[b"n"]
