"""An encrypted truth answers random sequences of calls as the in-process model does."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from postgres_helpers import TimedKeyValueStore, take_time_from_a_table
from postgres_helpers import open_kv as open_postgres
from postgres_server import empty
from redis_helpers import fresh, open_timed_kv
from sqlite_helpers import open_kv as open_sqlite

from sfm_core.testing.clock import ManualClock
from sfm_core.testing.machines import check_key_value_store
from sfm_server.encryption.store import EncryptedKeyValueStore
from tests.sealed_stores import sealed

Make = Callable[[], EncryptedKeyValueStore]


def test_on_sqlite(tmp_path: Path) -> None:
    def begin(clock: ManualClock) -> Make:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return lambda: sealed(open_sqlite(folder, clock=clock))

    check_key_value_store(begin)


@pytest.mark.long
def test_on_redis(redis_server: str) -> None:
    def begin(clock: ManualClock) -> Make:
        url = fresh(redis_server)
        return lambda: sealed(open_timed_kv(url, clock))

    check_key_value_store(begin)


@pytest.mark.long
def test_on_postgres(shared_database_url: str) -> None:
    def begin(clock: ManualClock) -> Make:
        url = empty(shared_database_url)
        asyncio.run(_migrate(url))
        take_time_from_a_table(url)
        return lambda: sealed(TimedKeyValueStore(url, clock))

    check_key_value_store(begin)


async def _migrate(url: str) -> None:
    async with open_postgres(url):
        pass
