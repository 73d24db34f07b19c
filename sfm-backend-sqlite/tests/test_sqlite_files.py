"""Files that cannot be used, or not fully: each a clear error and nothing lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlite_helpers import open_kv

from sfm_backend_sqlite._schema import APPLICATION_ID
from sfm_backend_sqlite.plugin import create_graph, create_kv, create_vector
from sfm_backend_sqlite.settings import SqliteSettings
from sfm_core.errors import (
    BackendUnavailableError,
    ConfigurationError,
    CorruptDataError,
    SfmError,
)
from sfm_core.protocols.kv import Commit, Entry, Write
from sfm_core.registry import BackendContext

LEASE = timedelta(seconds=30)

# Runs as another user, because nothing is read-only for root.
AS_NOBODY = """
import asyncio, os, sys
from datetime import timedelta
from pathlib import Path
from sfm_backend_sqlite.plugin import create_kv
from sfm_core.errors import SfmError
from sfm_core.protocols.kv import Commit, Write
from sfm_core.registry import BackendContext

async def main(folder, size):
    async with create_kv("sqlite:", BackendContext(data_folder=folder)) as store:
        print(*(entry.value.decode() for entry in await store.get_many("n", [b"k"])), flush=True)
        big = Write(b"big", b"x" * size, 1)
        await store.commit(
            [Commit(namespace="n", writes=(big,))], owner="o", lease=timedelta(seconds=9)
        )

if os.getuid() == 0 and sys.argv[3] == "nobody":
    os.setuid(65534)
if sys.argv[3] == "limited":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
except SfmError as error:
    print(error.code, error)
"""


async def put(folder: Path, value: bytes = b"v") -> None:
    async with open_kv(folder) as store:
        await store.commit(
            [Commit(namespace="n", writes=(Write(b"k", value, 1),))], owner="o", lease=LEASE
        )


async def value(folder: Path) -> Entry | None:
    async with open_kv(folder) as store:
        return (await store.get_many("n", [b"k"]))[0]


async def error_of_opening(folder: Path) -> SfmError:
    with pytest.raises(SfmError) as caught:
        async with open_kv(folder):
            pass
    assert caught.value.remedy
    return caught.value


def run(folder: Path, how: str, *, size: int = 10) -> str:
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(folder), str(size), how],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


async def test_a_file_that_is_no_database_is_corrupt_and_left_alone(tmp_path: Path) -> None:
    content = b"this is no database, but somebody's text " * 100
    (tmp_path / "sfm.db").write_bytes(content)
    assert isinstance(await error_of_opening(tmp_path), CorruptDataError)
    assert (tmp_path / "sfm.db").read_bytes() == content


async def test_a_damaged_page_is_reported_and_never_missing(tmp_path: Path) -> None:
    await put(tmp_path, b"v" * 100_000)
    path = tmp_path / "sfm.db"
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(CorruptDataError, match="backup"):
        await value(tmp_path)


async def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "sfm.db")
    raw.execute("CREATE TABLE theirs (x)")
    raw.commit()
    raw.close()
    before = (tmp_path / "sfm.db").read_bytes()
    error = await error_of_opening(tmp_path)
    assert isinstance(error, ConfigurationError)
    assert "another program" in str(error)
    assert (tmp_path / "sfm.db").read_bytes() == before


async def test_a_file_of_a_newer_release_asks_for_an_upgrade(tmp_path: Path) -> None:
    await put(tmp_path)
    raw = sqlite3.connect(tmp_path / "sfm.db")
    raw.execute("INSERT INTO migration (number, name, checksum) VALUES (999, 'later', 'x')")
    raw.commit()
    raw.close()
    error = await error_of_opening(tmp_path)
    assert isinstance(error, ConfigurationError)
    assert "Upgrade" in error.remedy


async def test_a_file_made_by_other_migrations_is_not_touched(tmp_path: Path) -> None:
    await put(tmp_path)
    raw = sqlite3.connect(tmp_path / "sfm.db")
    raw.execute("UPDATE migration SET checksum = 'other'")
    raw.commit()
    raw.close()
    assert isinstance(await error_of_opening(tmp_path), CorruptDataError)


async def test_a_file_locked_for_too_long_is_unavailable_and_then_works(tmp_path: Path) -> None:
    await put(tmp_path)
    raw = sqlite3.connect(tmp_path / "sfm.db", isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    async with open_kv(tmp_path, url="sqlite:?lock_timeout_seconds=0") as store:
        commit = Commit(namespace="n", writes=(Write(b"k", b"new", 2),))
        with pytest.raises(BackendUnavailableError, match="locked"):
            await store.commit([commit], owner="o", lease=LEASE)
        assert await store.get_many("n", [b"k"]) == [Entry(b"v", 1)]
        raw.execute("ROLLBACK")
        await store.commit([commit], owner="o", lease=LEASE)
        assert await store.get_many("n", [b"k"]) == [Entry(b"new", 2)]
    raw.close()


@pytest.fixture
def visible_folder() -> Iterator[Path]:
    """A folder that others may look into, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_a_folder_of_somebody_else_is_read_only(visible_folder: Path) -> None:
    await put(visible_folder)
    assert "storage-read-only" in run(visible_folder, "nobody")
    assert await value(visible_folder) == Entry(b"v", 1)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_an_empty_folder_of_somebody_else_is_read_only(visible_folder: Path) -> None:
    assert "storage-read-only" in run(visible_folder, "nobody")


async def test_a_limit_on_file_size_is_a_full_store_and_loses_nothing(tmp_path: Path) -> None:
    await put(tmp_path)
    assert run(tmp_path, "limited", size=1_000_000).startswith("v\nstorage-full")
    assert await value(tmp_path) == Entry(b"v", 1)
    raw = sqlite3.connect(tmp_path / "sfm.db")
    assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()


async def test_a_data_folder_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert isinstance(await error_of_opening(tmp_path / "file" / "data"), ConfigurationError)


async def test_the_ports_of_an_engine_share_one_file(tmp_path: Path) -> None:
    context = BackendContext(data_folder=tmp_path)
    async with (
        create_kv("sqlite:", context),
        create_vector("sqlite:", context),
        create_graph("sqlite:", context) as graph,
    ):
        await graph.ping()
    raw = sqlite3.connect(tmp_path / "sfm.db")
    assert raw.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


def test_ports_with_different_options_for_one_file_are_refused(tmp_path: Path) -> None:
    context = BackendContext(data_folder=tmp_path)
    create_kv("sqlite:", context)
    with pytest.raises(ConfigurationError, match="different options"):
        create_graph("sqlite:?durability=normal", context)


def test_urls_name_the_file_and_its_options(tmp_path: Path) -> None:
    assert SqliteSettings.parse("sqlite:", tmp_path).path == tmp_path / "sfm.db"
    assert SqliteSettings.parse("sqlite:other.db", tmp_path).path == tmp_path / "other.db"
    settings = SqliteSettings.parse(
        "sqlite:///a%20b/c.db?durability=normal&lock_timeout_seconds=5", tmp_path
    )
    assert settings.path == Path("/a b/c.db")
    assert not settings.durable
    assert settings.lock_timeout == timedelta(seconds=5)


@pytest.mark.parametrize(
    "url",
    ["sqlite://host/x.db", "sqlite:?durability=maybe", "sqlite:?speed=high", "sqlite:?durability"],
)
def test_urls_that_cannot_work_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SqliteSettings.parse(url, tmp_path)
    assert "sqlite:" in caught.value.remedy


async def test_memories_can_be_read_in_the_shell(tmp_path: Path) -> None:
    async with open_kv(tmp_path) as store:
        record = b'{"payload":{"text":"hello"},"importance":0.9}'
        tombstone = b'{"payload":{},"deleted":true}'
        writes = (Write(b"m\x01a", record, 4), Write(b"m\x01b", tombstone, 2), Write(b"x", b"", 1))
        await store.commit([Commit(namespace="n", writes=writes)], owner="o", lease=LEASE)
    raw = sqlite3.connect(tmp_path / "sfm.db")
    assert raw.execute(
        "SELECT namespace, coordinate, version, type, importance, payload FROM memory"
    ).fetchall() == [("n", "0161", 4, "episodic", 0.9, '{"text":"hello"}')]
    raw.close()
