"""A server of mode `evented_enterprise` that leaves indexing to a consumer, on Apache Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import cast

import pytest
from fix_consuming import ConsumerProcess

from tests.fix_modes import Stores, Variables
from tests.fix_server import Json, ServerProcess

MODE = "evented_enterprise"
CLIENTS = 16
EACH = 5

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def variables(stores: Stores) -> Variables:
    """The variables of both, whose vectors lie where two processes can have them."""
    chosen = stores.variables(MODE)
    return chosen | {
        "SFM_VECTOR_URL": "postgresql:",
        "SFM_EMBEDDER_URL": "hashing:",
        "SFM_INDEXING": "evented",
        "SFM_INDEX_WAIT_SECONDS": "100",
        # So that it is the event that wakes the consumer.
        "SFM_SWEEP_INTERVAL_SECONDS": "600",
        "SFM_LEASE_SECONDS": "1800",
    }


@pytest.fixture
async def server(variables: Variables, tmp_path: Path) -> AsyncGenerator[ServerProcess]:
    process = ServerProcess(tmp_path, variables)
    await process.start()
    yield process
    process.close()


@pytest.fixture
def consumer(
    server: ServerProcess, variables: Variables, tmp_path: Path
) -> Generator[ConsumerProcess]:
    """A consumer that indexes for `server`, which has made its truth."""
    folder = tmp_path / "consumer"
    folder.mkdir()
    process = ConsumerProcess(folder)
    process.environ = {
        **variables,
        "SFM_CONSUMER_HANDLERS": "indexer:",
        "SFM_DATA_FOLDER": str(server.data),
    }
    yield process
    process.close()


async def test_each_of_many_clients_finds_what_it_has_just_stored(
    server: ServerProcess, consumer: ConsumerProcess
) -> None:
    consumer.start()

    async def live(client: int) -> None:
        async with server.client() as http:
            for number in range(EACH):
                said = f"word{client}x{number}"
                body = {"coord": f"{client},{number}", "payload": {"text": said}}
                stored = cast("dict[str, Json]", (await http.post("/store", json=body)).json())
                assert stored["indexed"] is False
                asked = {"query": said, "top_k": 1, "min_position": stored["position"]}
                found = await http.post("/recall", json=asked)
                assert found.json() == {"matches": [{"text": said}], "stale": False}

    await asyncio.gather(*(live(client) for client in range(CLIENTS)))
    assert not server.surprises
    assert "Traceback" not in consumer.log
