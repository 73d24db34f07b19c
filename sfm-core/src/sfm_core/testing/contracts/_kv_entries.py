"""Contract of the key-value port: reading entries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfm_core.errors import LimitExceededError
from sfm_core.model.keys import KeyRange
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.kv import Commit, Entry, KeyValueStore, Write
from sfm_core.testing.contracts._base import BOUNDED, fresh_namespace, read_pages
from sfm_core.testing.contracts._kv_base import EVERYTHING, OWNER, KeyValueTests
from sfm_core.testing.samples import HOSTILE_KEYS, HOSTILE_NAMES, HOSTILE_VALUES

_KEYS = st.lists(st.binary(min_size=1, max_size=3), max_size=12, unique=True)
_BOUNDS = st.binary(max_size=3)


class EntryTests(KeyValueTests):
    """`get_many`, `scan` and `namespaces`."""

    async def test_get_many_answers_in_the_order_of_the_keys(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Duplicates are answered twice and absent keys with `None`, each at its place."""
        await self.put(store, namespace, {b"a": b"1", b"b": b"2", b"c": b"3"})
        found = await store.get_many(namespace, [b"c", b"x", b"a", b"c", b"b"])
        assert found == [Entry(b"3", 1), None, Entry(b"1", 1), Entry(b"3", 1), Entry(b"2", 1)]

    async def test_empty_calls_do_nothing(self, store: KeyValueStore, namespace: str) -> None:
        """Every bulk method takes an empty sequence."""
        assert await store.get_many(namespace, []) == []
        assert await store.scan(namespace, [], limit=1) == []
        assert await store.commit([], owner=OWNER, lease=self.lease) == []
        await store.acknowledge([])
        await store.release([], owner=OWNER, delay=self.lease)

    async def test_values_come_back_byte_for_byte(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """A value is bytes, whatever they are: empty, not text, a megabyte."""
        values = {b"%d" % place: value for place, value in enumerate(HOSTILE_VALUES)}
        await self.put(store, namespace, values)
        found = await store.get_many(namespace, list(values))
        assert [entry.value for entry in found if entry] == list(HOSTILE_VALUES)

    async def test_keys_that_look_alike_stay_apart(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """A key is bytes: no normalising, no end at NUL, no replacement of what is not UTF-8."""
        values = {key: b"%d" % place for place, key in enumerate(HOSTILE_KEYS)}
        await self.put(store, namespace, values)
        found = await store.get_many(namespace, HOSTILE_KEYS)
        assert [entry.value for entry in found if entry] == list(values.values())

    async def test_keys_are_in_byte_order(self, store: KeyValueStore, namespace: str) -> None:
        """No collation and no signed bytes: 0xff comes last, a prefix first."""
        await self.put(store, namespace, dict.fromkeys(reversed(HOSTILE_KEYS), b"v"))
        assert [key for key, _ in await self.contents(store, namespace)] == list(HOSTILE_KEYS)

    async def test_namespaces_that_look_alike_stay_apart(self, store: KeyValueStore) -> None:
        """No tenant sees another's entry, whatever their names have in common."""
        for name in HOSTILE_NAMES:
            await self.put(store, name, {b"k": name.encode()})
        found = [await store.get_many(name, [b"k"]) for name in HOSTILE_NAMES]
        assert found == [[Entry(name.encode(), 1)] for name in HOSTILE_NAMES]

    @pytest.mark.parametrize("between", ":/|.-_")
    async def test_the_end_of_a_namespace_is_no_beginning_of_a_key(
        self, store: KeyValueStore, between: str
    ) -> None:
        """Whatever is put between the two: `a:b` and `c` are not `a` and `b:c`."""
        entries = {("a", f"b{between}c"): b"1", (f"a{between}b", "c"): b"2"}
        for (name, key), value in entries.items():
            await self.put(store, name, {key.encode(): value})
        for (name, key), value in entries.items():
            assert await self.contents(store, name) == [(key.encode(), Entry(value, 1))]

    async def test_a_scan_stays_in_its_namespace(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """An open range ends where the namespace ends."""
        for name in (namespace, namespace + "2", namespace[:-1]):
            await self.put(store, name, {b"k": name.encode()})
        assert await self.contents(store, namespace) == [(b"k", Entry(namespace.encode(), 1))]

    @pytest.mark.parametrize("version", [1, 2, 2**31, 2**53 + 1])
    async def test_versions_come_back_exactly(
        self, store: KeyValueStore, namespace: str, version: int
    ) -> None:
        """A version is an integer, also where a float or 32 bits would not hold it."""
        await self.put(store, namespace, {b"k": b"v"}, version)
        assert await store.get_many(namespace, [b"k"]) == [Entry(b"v", version)]

    async def test_a_scan_includes_its_start_and_excludes_its_end(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Ranges are half open in both directions."""
        await self.put(store, namespace, dict.fromkeys((b"a", b"b", b"c", b"d"), b""))
        ranges = [KeyRange(b"b", b"d"), KeyRange(b"b", b"d", reverse=True)]
        forth, back = await store.scan(namespace, ranges, limit=10)
        assert [key for key, _ in forth] == [b"b", b"c"]
        assert [key for key, _ in back] == [b"c", b"b"]

    async def test_ranges_are_answered_in_order_each_up_to_the_limit(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """The limit counts per range, and an empty range has its own empty answer."""
        await self.put(store, namespace, dict.fromkeys((b"a1", b"a2", b"a3", b"b1"), b""))
        ranges = [KeyRange.prefix(b"b"), KeyRange.prefix(b"x"), KeyRange.prefix(b"a")]
        found = await store.scan(namespace, ranges, limit=2)
        assert [[key for key, _ in part] for part in found] == [[b"b1"], [], [b"a1", b"a2"]]

    async def test_a_range_that_ends_before_it_starts_is_empty(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """It is no error."""
        await self.put(store, namespace, {b"b": b""})
        ranges = [KeyRange(b"c", b"a"), KeyRange(b"b", b"b"), KeyRange(b"c", b"a", reverse=True)]
        assert await store.scan(namespace, ranges, limit=5) == [[], [], []]

    @BOUNDED
    @given(keys=_KEYS, start=_BOUNDS, end=st.none() | _BOUNDS, reverse=st.booleans())
    async def test_a_scan_finds_what_sorting_finds(
        self,
        store: KeyValueStore,
        keys: list[bytes],
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
    ) -> None:
        """For any keys and bounds, the range is the sorted keys between them."""
        namespace = fresh_namespace()
        await self.put(store, namespace, {key: key for key in keys})
        [found] = await store.scan(namespace, [KeyRange(start, end, reverse)], limit=5)
        inside = [key for key in keys if key >= start and (end is None or key < end)]
        assert [key for key, _ in found] == sorted(inside, reverse=reverse)[:5]

    @pytest.mark.parametrize("reverse", [False, True])
    async def test_paging_sees_each_stable_entry_once_while_others_come_and_go(
        self, store: KeyValueStore, namespace: str, *, reverse: bool
    ) -> None:
        """Writers beside a paged scan neither hide entries from it nor repeat them."""
        stable = [b"%03d" % number for number in range(60)]
        await self.put(store, namespace, dict.fromkeys(stable, b""))
        stop = asyncio.Event()

        async def disturb() -> None:
            number = 0
            while not stop.is_set():
                number = (number + 7) % 60
                key = b"%03d!" % number
                for value in (b"", None):
                    write = Write(key, value)
                    await self.commit(store, Commit(namespace=namespace, writes=(write,)))

        async with asyncio.TaskGroup() as group:
            group.create_task(disturb())
            seen = await _keys_by_pages(store, namespace, reverse=reverse)
            stop.set()
        assert [key for key in seen if len(key) == 3] == sorted(stable, reverse=reverse)

    async def test_the_largest_calls_are_done_as_a_whole(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """`MAX_BATCH` is a promise as well: nothing in between takes less, or cuts an answer."""
        values = {b"%05d" % number: b"%d" % number for number in range(MAX_BATCH)}
        commits = [
            Commit(namespace=namespace, writes=(Write(key, value),))
            for key, value in values.items()
        ]
        await store.commit(commits, owner=OWNER, lease=self.lease)
        entries = [Entry(value, 1) for value in values.values()]
        assert await store.get_many(namespace, list(values)) == entries
        [found] = await store.scan(namespace, [EVERYTHING], limit=MAX_BATCH)
        assert found == list(zip(values, entries, strict=True))

    async def test_too_many_keys_or_ranges_are_refused(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """A call that is too large is a clear error."""
        with pytest.raises(LimitExceededError):
            await store.get_many(namespace, [b"k"] * (MAX_BATCH + 1))
        with pytest.raises(LimitExceededError):
            await store.scan(namespace, [EVERYTHING] * (MAX_BATCH + 1), limit=1)

    @pytest.mark.parametrize("limit", [0, -1, MAX_BATCH + 1])
    async def test_a_scan_limit_out_of_bounds_is_refused(
        self, store: KeyValueStore, namespace: str, limit: int
    ) -> None:
        """Neither "nothing" nor "everything" can be asked for by accident."""
        with pytest.raises(LimitExceededError):
            await store.scan(namespace, [EVERYTHING], limit=limit)

    async def test_namespaces_are_listed_in_order_and_by_page(self, store: KeyValueStore) -> None:
        """By code point; the next page starts after the last name of the one before."""
        for name in HOSTILE_NAMES:
            await self.put(store, name, {b"k": b""})
        ordered = sorted(HOSTILE_NAMES)
        assert await store.namespaces() == ordered
        assert await store.namespaces(limit=5) == ordered[:5]
        assert await store.namespaces(after=ordered[4]) == ordered[5:]

    async def test_the_system_namespace_is_not_listed(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """What the engine keeps for itself is no tenant."""
        await self.put(store, SYSTEM_NAMESPACE, {b"k": b"own"})
        await self.put(store, namespace, {b"k": b""})
        assert await store.namespaces() == [namespace]
        assert await store.get_many(SYSTEM_NAMESPACE, [b"k"]) == [Entry(b"own", 1)]

    async def test_a_namespace_that_was_emptied_is_still_listed(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Derived stores may still hold something of it."""
        await self.put(store, namespace, {b"k": b""})
        await self.commit(store, Commit(namespace=namespace, writes=(Write(b"k", None),)))
        assert await store.namespaces() == [namespace]

    async def test_a_namespace_is_listed_also_if_its_commit_emptied_it(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """The last write to a key counts, and the earlier one happened."""
        writes = (Write(b"k", b""), Write(b"k", None))
        await self.commit(store, Commit(namespace=namespace, writes=writes))
        assert await store.namespaces() == [namespace]
        assert await store.get_many(namespace, [b"k"]) == [None]

    async def test_a_conflict_makes_no_namespace(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Nothing of it happened, and nothing is listed."""
        commit = Commit(namespace=namespace, writes=(Write(b"k", b""),), expect={b"k": 1})
        await store.commit([commit], owner=OWNER, lease=self.lease)
        assert await store.namespaces() == []

    async def test_what_was_written_is_there_after_opening_again(
        self, make: Callable[[], KeyValueStore], namespace: str
    ) -> None:
        """Closing loses nothing that was acknowledged, a deletion neither."""
        async with make() as store:
            await self.put(store, namespace, {b"k": b"v", b"gone": b"v"}, 3)
            deletion = Write(b"gone", None)
            await self.commit(store, Commit(namespace=namespace, writes=(deletion,)))
        async with make() as store:
            assert await store.get_many(namespace, [b"k", b"gone"]) == [Entry(b"v", 3), None]

    async def test_another_instance_sees_a_commit_at_once(
        self, make: Callable[[], KeyValueStore], namespace: str
    ) -> None:
        """Two stores on the same data have one truth."""
        async with make() as one, make() as other:
            assert await other.get_many(namespace, [b"k"]) == [None]
            await self.put(one, namespace, {b"k": b"v"})
            assert await other.get_many(namespace, [b"k"]) == [Entry(b"v", 1)]
            assert await self.contents(other, namespace) == [(b"k", Entry(b"v", 1))]


async def _keys_by_pages(store: KeyValueStore, namespace: str, *, reverse: bool) -> list[bytes]:
    async def page_after(last: tuple[bytes, Entry] | None) -> list[tuple[bytes, Entry]]:
        keys = KeyRange(b"", None, reverse)
        if last is not None:
            keys = KeyRange(b"", last[0], reverse) if reverse else KeyRange(last[0] + b"\0", None)
        [page] = await store.scan(namespace, [keys], limit=4)
        return page

    return [key for key, _ in await read_pages(page_after)]
