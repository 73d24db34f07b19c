from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from fix_serving import Serve, start
from test_workers import until

from sfm_core.testing.loopback import free_port


@pytest.mark.smoke
def test_acknowledged_memories_survive_a_kill(serve: Serve) -> None:
    first = serve()
    for number in range(20):
        body = {"coord": f"{number}", "payload": {"text": f"fact {number}"}}
        assert httpx.post(f"{first.url}/store", json=body, timeout=30).is_success
    first.stop(signal.SIGKILL)
    again = serve()
    assert httpx.get(f"{again.url}/stats", timeout=30).json()["total_memories"] == 20
    report = httpx.post(f"{again.url}/check", json={}, timeout=30).json()
    assert report["memories"] == 20


def test_a_stop_answers_what_is_in_hand_and_closes_the_memory(serve: Serve) -> None:
    server = serve()
    body = b'{"coord":"1","payload":{"text":"in hand"}}'
    head = f"POST /store HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    port = urlsplit(server.url).port
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head + body[:10])
        while (
            "sfm_http_requests_in_flight 2.0"
            not in httpx.get(f"{server.url}/metrics", timeout=30).text
        ):
            pass
        server.process.send_signal(signal.SIGTERM)
        connection.sendall(body[10:])
        answer = connection.recv(10_000)
    log = server.stop()
    assert answer.startswith(b"HTTP/1.1 200")
    assert "the memory is closed" in log
    assert "Traceback" not in log
    assert httpx.get(f"{serve().url}/stats", timeout=30).json()["total_memories"] == 1


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"SFM_PROT": "1"}, "SFM_PROT (environment) is no setting. Did you mean SFM_PORT?"),
        ({"SFM_MAX_BATCH": "x"}, "SFM_MAX_BATCH"),
        ({"MEMORY_MODE": "dream"}, "MEMORY_MODE is 'dream', which is no mode"),
        ({"MEMORY_MODE": "dream", "UVICORN_WORKERS": "2"}, "MEMORY_MODE is 'dream'"),
        ({"MEMORY_MODE": "development", "SFM_DISABLED_PLUGINS": "redis"}, "redis of somafractal"),
        ({"MEMORY_MODE": "evented_enterprise"}, "POSTGRES_URL"),
        ({"MEMORY_MODE": "cloud_managed", "POSTGRES_URL": "postgresql://u:p@h/d"}, "POSTGRES_SSL"),
        ({"SFM_VECTOR_URL": "theirs://x"}, "offers a vector backend for the scheme"),
        ({"SFM_KV_URL": "sqlite://host/x"}, "names a host"),
        ({"MEMORY_MODE": "test", "UVICORN_WORKERS": "2"}, "UVICORN_WORKERS needs stores"),
        ({"MEMORY_MODE": "test", "SFM_INDEXING": "evented"}, "SFM_INDEXING needs stores"),
        ({"SFM_INDEXING": "later"}, "SFM_INDEXING"),
    ],
)
def test_a_start_that_cannot_work_ends_with_one_clear_line(
    tmp_path: Path, environ: dict[str, str], message: str
) -> None:
    server = start(tmp_path, environ=environ, wait=False)
    status = server.process.wait(120)
    log = server.log.read_text()
    assert status == 6
    assert sum(message in line for line in log.splitlines()) == 1
    assert "Traceback" not in log


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_start_without_the_store_ends_soon_and_says_that_it_was_the_store(
    tmp_path: Path, workers: str
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    away = {"SFM_KV_URL": f"redis://{nowhere}", "UVICORN_WORKERS": workers}
    server = start(tmp_path, environ=away, wait=False)
    until(lambda: f"{nowhere} could not be reached" in server.log.read_text())
    # A supervisor, or whoever typed it, waits for that.
    assert server.process.wait(50) == 5


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_no_success(tmp_path: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ = {"MEMORY_MODE": "embedded", "UVICORN_WORKERS": workers}
        port = taken.getsockname()[1]
        server = start(tmp_path, environ=environ, port=port, wait=False)
        status = server.process.wait(120)
    said = server.log.read_text().lower()
    assert (status, "address already in use" in said) == (7, True)


def test_several_workers_share_one_memory(serve: Serve) -> None:
    server = serve(UVICORN_WORKERS="2")
    for number in range(12):
        # A new connection each time, so that both workers get some.
        body = {"coord": f"{number}", "payload": {"text": f"fact {number}"}}
        assert httpx.post(f"{server.url}/store", json=body, timeout=30).is_success
    counts = {
        httpx.get(f"{server.url}/stats", timeout=30).json()["total_memories"] for _ in range(12)
    }
    assert counts == {12}


def test_workers_stop_when_their_parent_is_killed(serve: Serve) -> None:
    server = serve(UVICORN_WORKERS="2")
    workers = psutil.Process(server.process.pid).children(recursive=True)

    server.stop(signal.SIGKILL)

    _, alive = psutil.wait_procs(workers, timeout=120)
    assert not alive


def test_a_body_that_is_too_large_is_refused_while_it_comes(serve: Serve) -> None:
    server = serve(SFM_MAX_BODY_BYTES="2000", MEMORY_MODE="test")
    body = json.dumps({"coord": "1", "payload": {"text": "x" * 5000}}).encode()
    answer = httpx.post(
        f"{server.url}/store",
        content=body,
        headers={"Content-Type": "application/json"},
        timeout=30,
    )
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert httpx.get(f"{server.url}/stats", timeout=30).json()["total_memories"] == 0
