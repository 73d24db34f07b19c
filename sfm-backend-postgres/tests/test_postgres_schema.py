"""Migrations, and what is found in a database that is not as expected."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files

import psycopg
import pytest
from postgres_catalogue import catalogue
from postgres_helpers import commit, open_graph, open_kv
from postgres_server import make_database

from sfm_backend_postgres import _schema
from sfm_backend_postgres._schema import Migration, known_migrations
from sfm_core.errors import BackendError, ConfigurationError, CorruptDataError
from sfm_core.protocols.kv import Commit, Write

_OPENER = """
import asyncio, sys
from pathlib import Path
from sfm_backend_postgres.plugin import create_kv
from sfm_core.registry import BackendContext

async def main():
    async with create_kv(sys.argv[1], BackendContext(data_folder=Path())) as store:
        await store.ping()

asyncio.run(main())
"""


def usual_migrations() -> list[Migration]:
    """Return the steps that every database takes."""
    return [each for each in known_migrations() if not each.optional]


async def open_and_close(url: str) -> None:
    async with open_kv(url) as store:
        await store.ping()


async def test_many_processes_may_start_at_once(database_url: str) -> None:
    await asyncio.gather(*(open_and_close(database_url) for _ in range(6)))
    with psycopg.connect(database_url) as raw:
        applied = raw.execute("SELECT name, checksum FROM sfm.migration").fetchall()
    assert applied == [(each.name, each.checksum) for each in usual_migrations()]


def test_processes_that_start_at_once_take_each_step_once(database_url: str) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", _OPENER, database_url], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    with psycopg.connect(database_url) as raw:
        applied = raw.execute("SELECT name FROM sfm.migration ORDER BY name").fetchall()
    assert [name for (name,) in applied] == sorted(each.name for each in usual_migrations())


async def test_the_schema_for_reading_is_what_the_migrations_make(
    database_url: str, postgres_url: str
) -> None:
    await open_and_close(database_url)
    plain = make_database(postgres_url)
    schema = files("sfm_backend_postgres") / "schema.sql"
    with psycopg.connect(plain, autocommit=True) as raw:
        raw.execute(schema.read_text(encoding="utf-8").encode())
    assert catalogue(database_url) == catalogue(plain)


@pytest.fixture
def with_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let there be more steps than this release ships."""

    def give(**steps: str) -> None:
        more = tuple(Migration(name=f"{name}.sql", sql=sql) for name, sql in steps.items())
        known = known_migrations() + more
        monkeypatch.setattr(_schema, "known_migrations", lambda: known)

    return give


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as raw:
        query = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        return {name for (name,) in raw.execute(query)}


async def test_post_steps_wait_until_they_are_asked_for(
    database_url: str, with_steps: Callable[..., None]
) -> None:
    with_steps(
        **{"9000_a.pre": "CREATE TABLE public.pre ()", "9000_a.post": "CREATE TABLE public.post ()"}
    )
    await open_and_close(f"{database_url}?migrations=pre")
    assert tables(database_url) == {"pre"}
    await open_and_close(database_url)
    assert tables(database_url) == {"pre", "post"}


async def test_a_step_that_fails_leaves_nothing_of_the_others(
    database_url: str, with_steps: Callable[..., None]
) -> None:
    with_steps(**{"9000_a.pre": "CREATE TABLE public.a ()", "9001_b.pre": "SELECT 1 / 0"})
    with pytest.raises(BackendError):
        await open_and_close(database_url)
    assert tables(database_url) == set()
    with psycopg.connect(database_url) as raw:
        assert raw.execute("SELECT to_regclass('sfm.migration')").fetchone() == (None,)


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
