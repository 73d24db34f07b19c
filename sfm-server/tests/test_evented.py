"""Real processes: servers that only write, and a consumer that indexes for them."""

from __future__ import annotations

import signal
import time

import httpx
import pytest
from fix_consuming import ConsumerProcess, until
from fix_serving import Serve, Server

WAIT_SECONDS = 3


class Pair:
    """Two workers that write, and the consumer that indexes what they write.

    Attributes:
        consumer: The consumer.
        server: The server.
    """

    server: Server

    def __init__(
        self, serve: Serve, consumer: ConsumerProcess, *, wait_seconds: int = WAIT_SECONDS
    ) -> None:
        self.consumer = consumer
        self._serve = serve
        self._common = {
            "PYTHONPATH": consumer.environ["PYTHONPATH"],
            "MEMORY_MODE": "embedded",
            "SFM_EMBEDDER_URL": "hashing:",
            "SFM_EVENTS_URL": consumer.environ["SFM_SOURCE_URL"],
            "SFM_INDEXING": "evented",
            "SFM_INDEX_WAIT_SECONDS": str(wait_seconds),
            "SFM_LEASE_SECONDS": "3",
            "SFM_SWEEP_INTERVAL_SECONDS": "0.2",
        }
        self.start_server()
        consumer.environ |= {
            **self._common,
            "SFM_DATA_FOLDER": str(self.server.data),
            "SFM_CONSUMER_HANDLERS": "indexer:",
        }

    def start_server(self) -> None:
        """Start the server, also once more on the same data."""
        self.server = self._serve(UVICORN_WORKERS="2", **self._common)

    def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        """Ask one of the workers."""
        # A new connection each time, so that both workers get some.
        answer = httpx.post(self.server.url + path, json=body, timeout=60, trust_env=False)
        assert answer.is_success, answer.text
        found: dict[str, object] = answer.json()
        return found

    def store(self, number: int) -> str:
        """Store a memory and return its position."""
        payload = {"text": f"fact{number} of many"}
        stored = self.post("/store", {"coord": str(number), "payload": payload})
        assert stored["indexed"] is False
        return str(stored["position"])

    def recall(self, number: int, position: str) -> dict[str, object]:
        """Ask for a memory that was stored."""
        asked: dict[str, object] = {"query": f"fact{number}", "top_k": 1, "min_position": position}
        return self.post("/recall", asked)

    def health(self) -> dict[str, object]:
        answer = httpx.get(f"{self.server.url}/readyz", timeout=60, trust_env=False)
        found: dict[str, object] = answer.json()
        return found


@pytest.fixture
def pair(serve: Serve, consumer: ConsumerProcess) -> Pair:
    made = Pair(serve, consumer)
    consumer.start()
    return made


@pytest.fixture
def patient_pair(serve: Serve, consumer: ConsumerProcess) -> Pair:
    """One whose recalls wait for the consumer however slow the machine is."""
    made = Pair(serve, consumer, wait_seconds=50)
    consumer.start()
    return made


def found(number: int) -> dict[str, object]:
    return {"matches": [{"text": f"fact{number} of many"}], "stale": False}


def test_whoever_writes_finds_it_though_another_process_indexes(patient_pair: Pair) -> None:
    pair = patient_pair
    for number in range(20):
        assert pair.recall(number, pair.store(number)) == found(number)
    until(lambda: pair.health()["status"] == "ok", pair.consumer)


def test_a_consumer_that_is_killed_costs_freshness_and_nothing_else(pair: Pair) -> None:
    first = pair.store(0)
    until(lambda: pair.recall(0, first) == found(0), pair.consumer)
    pair.consumer.end(signal.SIGKILL)
    positions = {number: pair.store(number) for number in range(1, 30)}
    began = time.monotonic()
    late = pair.recall(7, positions[7])
    assert late["stale"] is True
    assert time.monotonic() - began < WAIT_SECONDS + 30
    assert pair.health()["status"] == "degraded"
    assert "sfm consumer" in str(pair.health()["hint"])
    pair.consumer.start()
    everything = ",".join(positions.values())
    until(lambda: not pair.recall(7, everything)["stale"], pair.consumer)
    for number, position in positions.items():
        assert pair.recall(number, position) == found(number)
    until(lambda: pair.health()["status"] == "ok", pair.consumer)


def test_positions_outlive_the_server_that_gave_them(pair: Pair) -> None:
    pair.consumer.end()
    position = pair.store(1)
    pair.server.stop()
    pair.start_server()
    assert pair.recall(1, position)["stale"] is True
    pair.consumer.start()
    until(lambda: not pair.recall(1, position)["stale"], pair.consumer)
    assert pair.recall(1, position) == found(1)
