"""Processes that tell each other of work."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from time import monotonic

import psycopg
import pytest
from postgres_helpers import LEASE, commit, open_kv

from sfm_backend_postgres.kv import PostgresKeyValueStore
from sfm_core.errors import BackendUnavailableError, UnsupportedError
from sfm_core.model.events import EventNote, EventType
from sfm_core.protocols.kv import Commit, Committed, Write
from sfm_core.protocols.optional import SupportsWaking
from sfm_core.resilience import ResilientKeyValueStore

_SOON = 20
_EVENT = EventNote(
    type=EventType.MEMORY_STORED, key=b"k", version=1, at=datetime(2026, 5, 17, tzinfo=UTC)
)


async def listening(store: PostgresKeyValueStore) -> None:
    """Have it listen; it says at once that something may have been missed."""
    await asyncio.wait_for(store.wait_for_work(), _SOON)


async def is_quiet(store: PostgresKeyValueStore) -> bool:
    """Tell whether nothing wakes it for a while."""
    waiting = asyncio.ensure_future(store.wait_for_work())
    done, _ = await asyncio.wait({waiting}, timeout=0.5)
    waiting.cancel()
    await asyncio.wait({waiting})
    return not done


async def test_an_event_wakes_another_process(database_url: str) -> None:
    async with open_kv(database_url) as one, open_kv(database_url) as other:
        await listening(other)
        waiting = asyncio.create_task(other.wait_for_work())
        await commit(one, Commit(namespace="n", events=(_EVENT,)))
        await asyncio.wait_for(waiting, _SOON)


async def test_what_was_told_while_nobody_waited_is_not_missed(database_url: str) -> None:
    async with open_kv(database_url) as other:
        await listening(other)
        with psycopg.connect(database_url, autocommit=True) as raw:
            raw.execute("LISTEN sfm_work")
            async with open_kv(database_url) as one:
                for _ in range(3):
                    await commit(one, Commit(namespace="n", events=(_EVENT,)))
                told = raw.notifies(timeout=_SOON, stop_after=1)
                assert await asyncio.to_thread(list, told)
        # Now that it is closed, it tells nothing more.
        await asyncio.wait_for(other.wait_for_work(), _SOON)
        assert await is_quiet(other)


async def test_a_commit_without_events_wakes_nobody(database_url: str) -> None:
    async with open_kv(database_url) as one, open_kv(database_url) as other:
        await listening(other)
        await commit(one, Commit(namespace="n", writes=(Write(b"k", b"v", 1),), dirty=(b"k",)))
        assert await is_quiet(other)


async def test_notes_without_a_lease_wake_another_process(database_url: str) -> None:
    async with open_kv(database_url) as one, open_kv(database_url) as other:
        await listening(other)
        waiting = asyncio.create_task(other.wait_for_work())
        dirty = Commit(namespace="n", dirty=(b"k",))
        await one.commit([dirty], owner="o", lease=timedelta())
        await asyncio.wait_for(waiting, _SOON)


async def test_notes_that_were_given_back_wake_others_when_they_can_be_had(
    database_url: str,
) -> None:
    async with open_kv(database_url) as one, open_kv(database_url) as other:
        await listening(other)
        [result] = await commit(one, Commit(namespace="n", dirty=(b"k",)))
        assert isinstance(result, Committed)
        await one.release(result.notes, owner="o", delay=timedelta(seconds=0.3))
        await asyncio.wait_for(other.wait_for_work(), _SOON)
        assert [n.key for n in await other.claim(owner="p", limit=9, lease=LEASE)] == [b"k"]


async def test_a_lost_connection_is_told_and_made_anew(database_url: str) -> None:
    async with open_kv(database_url) as store:
        await listening(store)
        waiting = asyncio.create_task(store.wait_for_work())
        await asyncio.sleep(0.1)
        with psycopg.connect(database_url, autocommit=True) as raw:
            raw.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE query = 'LISTEN sfm_work' AND datname = current_database()"
            )
        with pytest.raises(BackendUnavailableError):
            await asyncio.wait_for(waiting, _SOON)
        await listening(store)


async def test_who_does_not_want_to_listen_says_so(database_url: str) -> None:
    async with open_kv(f"{database_url}?listen=off") as store:
        with pytest.raises(UnsupportedError):
            await store.wait_for_work()


async def test_many_commits_make_few_notifications(database_url: str) -> None:
    async with open_kv(database_url) as store:
        with psycopg.connect(database_url, autocommit=True) as raw:
            raw.execute("LISTEN sfm_work")
            begun = monotonic()
            for _ in range(100):
                await commit(store, Commit(namespace="n", events=(_EVENT,)))
            took = monotonic() - begun
            await asyncio.sleep(0.3)
            told = list(raw.notifies(timeout=0))
    # At most five in a second, and one each at the beginning, at the end and while it sleeps.
    assert 1 <= len(told) <= 5 * took + 3


def test_waking_survives_the_wrapping(database_url: str) -> None:
    assert isinstance(ResilientKeyValueStore(open_kv(database_url)), SupportsWaking)
