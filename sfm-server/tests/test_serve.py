from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest
from fix_serving import Serve, start


@pytest.mark.smoke
def test_acknowledged_memories_survive_a_kill(serve: Serve) -> None:
    first = serve()
    for number in range(20):
        body = {"coord": f"{number}", "payload": {"text": f"fact {number}"}}
        assert httpx.post(f"{first.url}/store", json=body).is_success
    first.stop(signal.SIGKILL)
    again = serve()
    assert httpx.get(f"{again.url}/stats").json()["total_memories"] == 20
    report = httpx.post(f"{again.url}/check", json={}, timeout=30).json()
    assert report["memories"] == 20


def test_a_stop_answers_what_is_in_hand_and_closes_the_memory(serve: Serve) -> None:
    server = serve()
    httpx.post(f"{server.url}/store", json={"coord": "1", "payload": {"text": "a"}})
    log = server.stop()
    assert "the memory is closed" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"SFM_PROT": "1"}, "SFM_PROT (environment) is no setting. Did you mean SFM_PORT?"),
        ({"SFM_MAX_BATCH": "x"}, "SFM_MAX_BATCH"),
        ({"MEMORY_MODE": "development"}, "somafractalmemory-backend-redis"),
        ({"SFM_VECTOR_URL": "theirs://x"}, "offers a vector backend for the scheme"),
        ({"SFM_KV_URL": "sqlite://host/x"}, "names a host"),
        ({"MEMORY_MODE": "test", "UVICORN_WORKERS": "2"}, "belongs to one process"),
    ],
)
def test_a_start_that_cannot_work_ends_with_one_clear_line(
    tmp_path: Path, environ: dict[str, str], message: str
) -> None:
    server = start(tmp_path, environ=environ, wait=False)
    status = server.process.wait(60)
    log = server.log.read_text()
    assert status == 6
    assert sum(message in line for line in log.splitlines()) == 1
    assert "Traceback" not in log


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
