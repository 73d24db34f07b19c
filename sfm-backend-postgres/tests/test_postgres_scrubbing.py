"""Scrubbing clears dead rows away, and says what it cannot reach."""

from __future__ import annotations

import psycopg
from postgres_helpers import commit, open_kv

from sfm_core.protocols.kv import Commit, Write


async def test_dead_rows_are_cleared_away_and_the_rest_is_named(database_url: str) -> None:
    async with open_kv(database_url) as store:
        for version in range(1, 30):
            put = Commit(namespace="n", writes=(Write(b"k", b"word" * 500, version),))
            await commit(store, put)
        left = await store.scrub({"n": []})
    assert "VACUUM FULL" in left
    with psycopg.connect(database_url, autocommit=True) as raw:
        raw.execute("SELECT pg_stat_force_next_flush()")
        [(vacuumed,)] = raw.execute(
            "SELECT last_vacuum IS NOT NULL FROM pg_stat_user_tables "
            "WHERE schemaname = 'sfm' AND relname = 'entry'"
        ).fetchall()
    assert vacuumed
