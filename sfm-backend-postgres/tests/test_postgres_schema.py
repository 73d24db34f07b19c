"""Migrations, and what is found in a database that is not as expected."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from postgres_helpers import commit, open_graph, open_kv

from sfm_backend_postgres._schema import known_migrations
from sfm_core.errors import ConfigurationError, CorruptDataError
from sfm_core.protocols.kv import Commit, Write


async def open_and_close(url: str) -> None:
    async with open_kv(url) as store:
        await store.ping()


async def test_many_processes_may_start_at_once(database_url: str) -> None:
    await asyncio.gather(*(open_and_close(database_url) for _ in range(6)))
    with psycopg.connect(database_url) as raw:
        applied = raw.execute("SELECT name, checksum FROM sfm.migration").fetchall()
    assert applied == [(each.name, each.checksum) for each in known_migrations()]


async def test_a_start_changes_nothing_in_a_current_database(database_url: str) -> None:
    await open_and_close(database_url)
    query = "SELECT oid, xmin::text FROM pg_class WHERE relnamespace = 'sfm'::regnamespace"
    with psycopg.connect(database_url, autocommit=True) as raw:
        before = raw.execute(query).fetchall()
        await open_and_close(database_url)
        assert raw.execute(query).fetchall() == before


async def test_an_edited_migration_is_noticed(database_url: str) -> None:
    await open_and_close(database_url)
    with psycopg.connect(database_url) as raw:
        raw.execute("UPDATE sfm.migration SET checksum = 'other'")
    with pytest.raises(CorruptDataError, match="another edition"):
        await open_and_close(database_url)


async def test_this_release_runs_beside_the_next_until_its_post_step(database_url: str) -> None:
    await open_and_close(database_url)
    with psycopg.connect(database_url, autocommit=True) as raw:
        raw.execute("INSERT INTO sfm.migration (name, checksum) VALUES ('9999_next.pre.sql', '')")
        await open_and_close(database_url)
        raw.execute("INSERT INTO sfm.migration (name, checksum) VALUES ('9999_next.post.sql', '')")
    with pytest.raises(ConfigurationError, match="newer release"):
        await open_and_close(database_url)


async def test_a_user_who_may_not_make_the_schema_is_told_what_to_grant(
    database_url: str,
) -> None:
    with psycopg.connect(database_url, autocommit=True) as raw:
        raw.execute("DROP ROLE IF EXISTS reader")
        raw.execute("CREATE ROLE reader LOGIN PASSWORD 'secret'")
    url = database_url.replace("postgres:secret@", "reader:secret@")
    with pytest.raises(ConfigurationError, match="needs CREATE on the database"):
        await open_and_close(url)


async def test_ports_of_one_database_and_other_schemas_do_not_meet(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as raw:
        raw.execute("CREATE TABLE public.entry (a int)")
        async with open_kv(database_url) as store, open_graph(database_url) as graph:
            await commit(store, Commit(namespace="n", writes=(Write(b"k", b"v", 1),)))
            await graph.drop("n")
            assert len(await store.get_many("n", [b"k"])) == 1
        assert raw.execute("SELECT count(*) FROM public.entry").fetchone() == (0,)
