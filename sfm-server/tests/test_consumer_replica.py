"""A server, a stream and a consumer that builds a replica, as processes; some are killed."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from random import Random

import httpx
import pytest
from fix_consuming import ConsumerProcess, until
from fix_serving import Serve, Server
from folder_stream import FolderSource


@pytest.fixture
def server(serve: Serve, consumer: ConsumerProcess) -> Server:
    """A server that publishes to the stream of the consumer."""
    return serve(
        PYTHONPATH=consumer.environ["PYTHONPATH"],
        SFM_EVENTS_URL=consumer.environ["SFM_SOURCE_URL"],
        SFM_EMBEDDER_URL="hashing:",
        SFM_SWEEP_INTERVAL_SECONDS="0.2",
    )


@pytest.fixture
def replica(consumer: ConsumerProcess) -> Path:
    """Where the consumer builds its replica."""
    path = consumer.folder / "replica.db"
    consumer.environ |= {
        "MEMORY_MODE": "embedded",
        "SFM_CONSUMER_HANDLERS": f"replica:sqlite:{path}",
        "SFM_EMBEDDER_URL": "hashing:",
    }
    return path


def change(url: str, random: Random) -> None:
    """Do one thing that a client may do."""
    here, there = f"{random.randrange(20)}", f"{random.randrange(20)}"
    body: dict[str, object] = {"coord": here, "payload": {"n": random.randrange(100)}}
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        match random.randrange(6):
            case 0:
                client.delete(f"/memories/{here}")
            case 1 | 2:
                client.post("/link", json={"from_coord": here, "to_coord": there})
            case _:
                assert client.post("/store", json=body).is_success


def published(consumer: ConsumerProcess, server: Server) -> bool:
    """Tell whether everything was handled that the server has logged."""
    health = httpx.get(f"{server.url}/health", timeout=30, trust_env=False).json()
    behind = health["ports"]["events"].get("lag_seconds")
    # Not as the figures of the consumer have it, which are a few seconds old.
    return not behind and not consumer.stream.left()


@pytest.mark.long
def test_a_replica_equals_its_truth_after_kills(
    server: Server, consumer: ConsumerProcess, replica: Path
) -> None:
    random = Random(3)
    for _ in range(5):
        consumer.start(SFM_CONSUMER_BATCH="7")
        for _ in range(40):
            change(server.url, random)
        consumer.end(signal.SIGKILL)
    consumer.start()
    until(lambda: published(consumer, server), consumer)
    assert consumer.end() == 0
    compared = consumer.sfm(
        "check", "--against", f"sqlite:{replica}", "--data", str(server.data), "--json"
    )
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert json.loads(compared.stdout)["same"] > 10


def test_a_replica_becomes_the_truth_when_that_is_lost(
    server: Server, consumer: ConsumerProcess, replica: Path, serve: Serve
) -> None:
    consumer.start()
    for number in range(10):
        body = {"coord": f"{number}", "payload": {"text": f"fact {number}"}}
        assert httpx.post(f"{server.url}/store", json=body, timeout=30).is_success
    until(lambda: consumer.figure("sfm_consumer_handled_total") == 10, consumer)
    assert consumer.end() == 0
    server.stop(signal.SIGKILL)

    consumer.environ |= {"SFM_KV_URL": f"sqlite:{replica}", "SFM_CONSUMER_HANDLERS": "indexer:"}
    refused = consumer.sfm("stats")
    assert refused.returncode == 6
    assert "sfm truths --adopt" in refused.stderr
    listed = json.loads(consumer.sfm("truths", "--adopt", "--json").stdout)
    assert listed[0]["state"] == "this one"
    again = serve("again", SFM_KV_URL=f"sqlite:{replica}", SFM_EMBEDDER_URL="hashing:")
    assert httpx.get(f"{again.url}/stats", timeout=30).json()["total_memories"] == 10
    report = httpx.post(f"{again.url}/check", json={}, timeout=30).json()
    assert report["memories"] == 10
    body = {"coord": "1", "payload": {"text": "a new one"}}
    assert httpx.post(f"{again.url}/store", json=body, timeout=30).json()["version"] == 2


def test_the_indexer_wakes_up_with_the_events_of_a_server(
    server: Server, consumer: ConsumerProcess
) -> None:
    consumer.environ |= {"MEMORY_MODE": "embedded", "SFM_DATA_FOLDER": str(server.data)}
    consumer.start(SFM_CONSUMER_HANDLERS="indexer:", SFM_EMBEDDER_URL="hashing:")
    for number in range(10):
        body = {"coord": f"{number}", "payload": {"text": f"fact {number}"}}
        assert httpx.post(f"{server.url}/store", json=body, timeout=30).is_success
    until(lambda: consumer.figure("sfm_consumer_handled_total") == 10, consumer)
    assert consumer.end() == 0
    assert "Traceback" not in consumer.log
    with_lag = FolderSource(consumer.folder / "stream")
    assert with_lag.done() == 10
