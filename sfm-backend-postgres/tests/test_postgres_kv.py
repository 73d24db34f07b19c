"""The truth in PostgreSQL: what the kit cannot know about it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest
from postgres_helpers import LEASE, commit, keys_of, open_graph, open_kv

from sfm_backend_postgres._statements import statements
from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    CorruptDataError,
    ReadOnlyStorageError,
    StorageFullError,
)
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import START, EventNote, EventType
from sfm_core.model.keys import KeyRange
from sfm_core.protocols.graph import Direction, Edge, EdgeId
from sfm_core.protocols.kv import Commit, Committed, Write

_MOMENT = datetime(2026, 5, 17, tzinfo=UTC)


def noted(key: bytes) -> Commit:
    note = EventNote(type=EventType.MEMORY_STORED, key=key, version=1, at=_MOMENT)
    return Commit(namespace="n", events=(note,))


def log_slowly(connection: psycopg.Connection, key: bytes) -> None:
    """Append an event in a transaction that stays open."""
    connection.execute(
        "INSERT INTO sfm.event_arrived (namespace, type, key, version, at) "
        "VALUES ('n', 'memory.stored', %s, 1, %s)",
        (key, _MOMENT),
    )


async def test_plans_that_were_made_for_few_entries_are_good_for_many(database_url: str) -> None:
    here, there = Coordinate((1.0,)), Coordinate((2.0,))
    edge = Edge(id=EdgeId(source=here, type="t", target=there), weight=1.0, version=1)
    url = f"{database_url}?pool_size=1"

    async def use_everything(number: int) -> None:
        key = b"%d" % number
        put = Commit(namespace="n", writes=(Write(key, b"v", 1),), expect={key: 0})
        await commit(store, put)
        await store.get_many("n", [key])
        await store.scan("n", [KeyRange(b"1", None)], limit=1)
        await graph.neighbors("n", [here, there], limit=1)
        await graph.neighbors("n", [here], direction=Direction.IN, limit=1)

    with psycopg.connect(database_url, autocommit=True) as raw:
        async with open_kv(url) as store, open_graph(url) as graph:
            await graph.apply("n", upserts=[edge])
            await use_everything(0)
            raw.execute("VACUUM ANALYZE sfm.entry, sfm.edge")
            for number in range(1, 12):
                await use_everything(number)
            await asyncio.sleep(1.5)
            raw.execute("SELECT pg_stat_reset()")
            await use_everything(12)
        query = (
            "SELECT sum(idx_scan), sum(seq_scan) FROM pg_stat_user_tables "
            "WHERE schemaname = 'sfm' AND relname IN ('entry', 'edge')"
        )
        by_index = through_all = 0
        # A server process tells its counts when it ends.
        for _ in range(100):
            by_index, through_all = raw.execute(query).fetchone() or (0, 0)
            if by_index + through_all >= 5:
                break
            await asyncio.sleep(0.05)
    assert by_index >= 5
    assert through_all == 0


@pytest.mark.smoke
async def test_a_commit_can_be_read_without_our_code(database_url: str) -> None:
    async with open_kv(database_url) as store:
        write = Write(b"m\xff\0", b"value", 7)
        await commit(store, Commit(namespace="n", writes=(write,), counters={"c": 2}))
    with psycopg.connect(database_url) as raw:
        entries = raw.execute("SELECT namespace, key, version, value FROM sfm.entry").fetchall()
        assert entries == [("n", b"m\xff\0", 7, b"value")]
        assert raw.execute("SELECT name, amount FROM sfm.counter").fetchall() == [("c", 2)]


async def test_a_slow_transaction_is_neither_overtaken_nor_forgotten(database_url: str) -> None:
    async with open_kv(database_url) as store:
        with psycopg.connect(database_url) as slow:
            log_slowly(slow, b"slow")
            await commit(store, noted(b"fast"))
            [first] = await store.read_events(after=START, limit=10)
            assert first.note.key == b"fast"
        rest = await store.read_events(after=first.position, limit=10)
        assert keys_of(rest) == [b"slow"]
        assert await store.read_events(after=START, limit=10) == [first, *rest]


async def test_trimming_does_not_take_what_a_slow_transaction_brings(database_url: str) -> None:
    async with open_kv(database_url) as store:
        with psycopg.connect(database_url) as slow:
            log_slowly(slow, b"slow")
            await commit(store, noted(b"fast"))
            [first] = await store.read_events(after=START, limit=10)
            assert await store.trim_events(through=first.position) == 1
        assert keys_of(await store.read_events(after=START, limit=10)) == [b"slow"]


async def test_another_readers_positions_are_the_same(database_url: str) -> None:
    async with open_kv(database_url) as one, open_kv(database_url) as other:
        await commit(one, *(noted(b"%d" % number) for number in range(20)))
        logs = await asyncio.gather(
            *(store.read_events(after=START, limit=100) for store in (one, other) * 4)
        )
        assert len(logs[0]) == 20
        assert all(log == logs[0] for log in logs)


async def test_a_note_of_a_slow_transaction_is_claimed_later(database_url: str) -> None:
    async with open_kv(database_url) as store:
        with psycopg.connect(database_url) as slow:
            slow.execute(
                "INSERT INTO sfm.outbox (namespace, key, committed_at, owner, free_at) "
                "VALUES ('n', 'slow', now(), 'o', now())"
            )
            [result] = await commit(store, Commit(namespace="n", dirty=(b"fast",)))
            assert isinstance(result, Committed)
            await store.acknowledge(result.notes)
        found = await store.claim(owner="p", limit=10, lease=LEASE)
        assert [note.key for note in found] == [b"slow"]


async def test_a_note_that_another_is_claiming_is_passed_over(database_url: str) -> None:
    async with open_kv(database_url) as store:
        with psycopg.connect(database_url) as raw:
            raw.execute(
                "INSERT INTO sfm.outbox (namespace, key, committed_at, owner, free_at) "
                "SELECT 'n', key, now(), 'o', now() FROM (VALUES ('a'::bytea), ('b')) AS v (key)"
            )
            raw.commit()
            raw.execute("SELECT FROM sfm.outbox WHERE key = 'a' FOR UPDATE")
            found = await store.claim(owner="p", limit=10, lease=LEASE)
            assert [note.key for note in found] == [b"b"]


async def test_upkeep_folds_counters_and_changes_no_sum(database_url: str) -> None:
    async with open_kv(database_url) as store:
        for _ in range(5):
            await commit(store, Commit(namespace="n", counters={"a": 2, "b": -1}))
        adding = asyncio.gather(
            *(commit(store, Commit(namespace="n", counters={"a": 1})) for _ in range(20))
        )
        await asyncio.gather(store.maintain(), store.maintain())
        await adding
        await store.maintain()
        assert await store.counters("n") == {"a": 30, "b": -5}
    with psycopg.connect(database_url) as raw:
        assert raw.execute("SELECT count(*) FROM sfm.counter").fetchone() == (2,)


async def test_commits_that_share_keys_in_any_order_do_not_deadlock(database_url: str) -> None:
    keys = [b"%d" % number for number in range(30)]
    async with open_kv(database_url) as one, open_kv(database_url) as other:
        calls = [
            commit(
                store,
                *(
                    Commit(namespace=name, writes=(Write(key, b"", 1),), dirty=(key,))
                    for name in order
                    for key in (keys if store is one else reversed(keys))
                ),
            )
            for store in (one, other)
            for order in ("ab", "ba")
            for _ in range(5)
        ]
        results = await asyncio.gather(*calls)
        assert all(isinstance(each, Committed) for result in results for each in result)
        assert (await one.outbox_status()).depth == 20 * 60
    with psycopg.connect(database_url) as raw:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert raw.execute(query).fetchone() == (0,)


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_range_is_read_through_the_index(database_url: str, *, reverse: bool) -> None:
    name = "scan_backward" if reverse else "scan_forward"
    async with open_kv(database_url) as store:
        writes = tuple(Write(b"%05d" % number, b"v", 1) for number in range(5000))
        await commit(store, Commit(namespace="n", writes=writes))
        found = await store.scan("n", [KeyRange(b"02", None, reverse)], limit=2)
        assert len(found[0]) == 2
    with psycopg.connect(database_url) as raw:
        raw.execute("ANALYZE sfm.entry")
        plan = raw.execute(
            b"EXPLAIN " + statements("truth")[name],
            {"namespace": "n", "limit": 2, "places": [0], "starts": [b"02"], "ends": [b"\xff"]},
        ).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "entry_pkey" in text
    assert "Seq Scan" not in text


def raise_on_write(url: str, code: str, *, times: int) -> None:
    """Let the server refuse the next writes of entries with an error code."""
    with psycopg.connect(url, autocommit=True) as raw:
        # A sequence goes on counting in transactions that are undone.
        raw.execute("CREATE SEQUENCE public.refusals")
        raw.execute(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF nextval('public.refusals') <= {times} THEN "
            f"RAISE EXCEPTION 'refused' USING ERRCODE = '{code}'; END IF; "
            "RETURN NEW; END $$".encode()
        )
        raw.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON sfm.entry "
            "FOR EACH ROW EXECUTE FUNCTION public.refuse()"
        )


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_what_the_server_undoes_for_another_is_repeated(database_url: str, code: str) -> None:
    async with open_kv(database_url) as store:
        raise_on_write(database_url, code, times=3)
        put = Commit(
            namespace="n", writes=(Write(b"k", b"v", 1),), expect={b"k": 0}, counters={"c": 1}
        )
        [result] = await commit(store, put)
        assert isinstance(result, Committed)
        assert await store.counters("n") == {"c": 1}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("53100", StorageFullError),
        ("25006", ReadOnlyStorageError),
        ("53200", BackendUnavailableError),
        ("XX001", CorruptDataError),
        ("22003", BackendError),
    ],
)
async def test_a_refused_commit_leaves_nothing_and_the_connection_usable(
    database_url: str, code: str, expected: type[BackendError]
) -> None:
    async with open_kv(f"{database_url}?pool_size=1") as store:
        raise_on_write(database_url, code, times=1)
        put = Commit(
            namespace="n", writes=(Write(b"k", b"v", 1),), counters={"c": 1}, dirty=(b"k",)
        )
        with pytest.raises(expected) as caught:
            await commit(store, put)
        assert type(caught.value) is expected
        assert await store.get_many("n", [b"k"]) == [None]
        assert await store.counters("n") == {}
        [result] = await commit(store, put)
        assert isinstance(result, Committed)


async def test_a_cancelled_call_leaves_the_store_usable(database_url: str) -> None:
    async with open_kv(f"{database_url}?pool_size=1") as store:
        with psycopg.connect(database_url) as raw:
            raw.execute("LOCK TABLE sfm.entry")
            reading = asyncio.create_task(store.get_many("n", [b"k"]))
            writing = asyncio.create_task(
                commit(store, Commit(namespace="n", writes=(Write(b"k", b"v", 1),)))
            )
            await asyncio.sleep(0.2)
            reading.cancel()
            writing.cancel()
            done, _ = await asyncio.wait({reading, writing}, timeout=20)
            assert len(done) == 2
            assert reading.cancelled()
            assert writing.cancelled()
        assert await store.get_many("n", [b"k"]) == [None]
