"""The truth in a file: what the kit cannot know about SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlite_helpers import open_kv

from sfm_core.errors import LimitExceededError, StorageFullError
from sfm_core.model.events import START, EventNote, EventType
from sfm_core.model.keys import KeyRange
from sfm_core.protocols.kv import Commit, Committed, Conflict, Entry, Write

LEASE = timedelta(seconds=30)


@pytest.mark.smoke
async def test_a_commit_can_be_read_without_our_code(tmp_path: Path) -> None:
    async with open_kv(tmp_path) as store:
        await store.commit(
            [Commit(namespace="n", writes=(Write(b"m\xff\0", b"value", 7),), counters={"c": 2})],
            owner="o",
            lease=LEASE,
        )
    with sqlite3.connect(tmp_path / "sfm.db") as raw:
        assert raw.execute(
            "SELECT name, key, version, value FROM entry JOIN namespace ON id = namespace"
        ).fetchall() == [("n", b"m\xff\0", 7, b"value")]
        assert raw.execute("SELECT name, amount FROM counter").fetchall() == [("c", 2)]
    raw.close()


async def test_data_survives_reopening(tmp_path: Path) -> None:
    async with open_kv(tmp_path) as store:
        await store.commit(
            [Commit(namespace="n", writes=(Write(b"k", b"v", 1),))], owner="o", lease=LEASE
        )
    async with open_kv(tmp_path) as store:
        assert await store.get_many("n", [b"k"]) == [Entry(b"v", 1)]


@pytest.mark.parametrize("count", [1, 31, 32, 64, 65, 200])
async def test_any_number_of_keys_keeps_its_order(tmp_path: Path, count: int) -> None:
    keys = [f"{number:04}".encode() for number in range(count)]
    writes = tuple(Write(key, key, 1) for key in keys[::2])
    async with open_kv(tmp_path) as store:
        await store.commit([Commit(namespace="n", writes=writes)], owner="o", lease=LEASE)
        found = await store.get_many("n", [*reversed(keys), keys[0]])
    assert [entry.value if entry else None for entry in found] == [
        key if int(key) % 2 == 0 else None for key in [*reversed(keys), keys[0]]
    ]


async def test_a_later_commit_of_one_call_sees_the_earlier(tmp_path: Path) -> None:
    first = Commit(namespace="n", writes=(Write(b"k", b"1", 1),), expect={b"k": 0})
    async with open_kv(tmp_path) as store:
        results = await store.commit([first, first], owner="o", lease=LEASE)
    assert results == [Committed(), Conflict(current={b"k": Entry(b"1", 1)})]


async def test_a_conflict_leaves_no_counter_note_or_event(tmp_path: Path) -> None:
    refused = Commit(
        namespace="n",
        expect={b"k": 3},
        counters={"c": 1},
        dirty=(b"k",),
        events=(
            EventNote(type=EventType.MEMORY_STORED, key=b"k", version=1, at=datetime.now(UTC)),
        ),
    )
    async with open_kv(tmp_path) as store:
        await store.commit([refused], owner="o", lease=LEASE)
        assert await store.counters("n") == {}
        assert (await store.outbox_status()).depth == 0
        assert await store.read_events(after=START, limit=10) == []


async def test_a_key_that_is_too_long_stops_the_whole_call(tmp_path: Path) -> None:
    async with open_kv(tmp_path) as store:
        with pytest.raises(LimitExceededError):
            await store.commit(
                [
                    Commit(namespace="n", writes=(Write(b"k", b"v", 1),)),
                    Commit(namespace="n", writes=(Write(b"k" * 2049, b"v", 1),)),
                ],
                owner="o",
                lease=LEASE,
            )
        assert await store.get_many("n", [b"k"]) == [None]


async def test_an_edge_or_point_does_not_make_a_namespace_of_the_truth(tmp_path: Path) -> None:
    async with open_kv(tmp_path) as store:
        await store.commit([Commit(namespace="seen", counters={"c": 1})], owner="o", lease=LEASE)
        assert await store.namespaces() == []
        await store.commit(
            [Commit(namespace="seen", writes=(Write(b"k", b"", 1),))], owner="o", lease=LEASE
        )
        assert await store.namespaces() == ["seen"]


async def test_two_openers_see_each_others_commits(tmp_path: Path) -> None:
    async with open_kv(tmp_path) as one, open_kv(tmp_path) as other:
        for version, (writer, reader) in enumerate([(one, other), (other, one)], start=1):
            await writer.commit(
                [Commit(namespace="n", writes=(Write(b"k", b"v", version),))],
                owner="o",
                lease=LEASE,
            )
            assert await reader.get_many("n", [b"k"]) == [Entry(b"v", version)]


async def test_concurrent_calls_are_all_carried_out(tmp_path: Path) -> None:
    async with open_kv(tmp_path) as store:
        await asyncio.gather(
            *(
                store.commit(
                    [Commit(namespace="n", writes=(Write(bytes([n]), b"", 1),), dirty=(b"k",))],
                    owner="o",
                    lease=LEASE,
                )
                for n in range(50)
            )
        )
        (rows,) = await store.scan("n", [KeyRange(b"", None)], limit=100)
        assert len(rows) == 50
        assert (await store.outbox_status()).depth == 50


async def test_a_full_store_refuses_and_keeps_what_it_had(tmp_path: Path) -> None:
    async with open_kv(tmp_path) as store:
        await store.commit(
            [Commit(namespace="n", writes=(Write(b"k", b"v", 1),))], owner="o", lease=LEASE
        )
        await store.limit_pages(40)
        with pytest.raises(StorageFullError, match="no room"):
            await store.commit(
                [Commit(namespace="n", writes=(Write(b"big", b"x" * 1_000_000, 1),))],
                owner="o",
                lease=LEASE,
            )
        assert await store.get_many("n", [b"k", b"big"]) == [Entry(b"v", 1), None]
        await store.limit_pages(100_000)
        await store.commit(
            [Commit(namespace="n", writes=(Write(b"big", b"x" * 1_000_000, 1),))],
            owner="o",
            lease=LEASE,
        )
