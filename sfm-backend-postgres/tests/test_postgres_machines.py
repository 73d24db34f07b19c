"""Random sequences of calls, beside the in-process model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from postgres_helpers import (
    TimedKeyValueStore,
    open_graph,
    open_kv,
    open_vector,
    take_time_from_a_table,
)
from postgres_server import empty, make_database

from sfm_backend_postgres.graph import PostgresGraphStore
from sfm_backend_postgres.vector import PostgresVectorStore
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.machines import check_graph_store, check_key_value_store, check_vector_store


@pytest.mark.parametrize("server", ["postgres_url", "oldest_postgres_url"])
def test_the_key_value_store_is_like_its_model(request: pytest.FixtureRequest, server: str) -> None:
    url = make_database(request.getfixturevalue(server))

    def fresh(clock: ManualClock) -> Callable[[], TimedKeyValueStore]:
        asyncio.run(_migrate(empty(url)))
        take_time_from_a_table(url)
        return lambda: TimedKeyValueStore(url, clock)

    check_key_value_store(fresh)


def test_the_graph_store_is_like_its_model(postgres_url: str) -> None:
    url = make_database(postgres_url)

    def fresh(_: ManualClock) -> Callable[[], PostgresGraphStore]:
        empty(url)
        return lambda: open_graph(url)

    check_graph_store(fresh)


def test_the_vector_store_is_like_its_model(postgres_url: str) -> None:
    url = make_database(postgres_url)

    def fresh(_: ManualClock) -> Callable[[], PostgresVectorStore]:
        empty(url)
        return lambda: open_vector(url)

    check_vector_store(fresh)


async def _migrate(url: str) -> None:
    async with open_kv(url):
        pass
