"""Erasing by destroying a key beside a server whose workers go on writing with it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fix_serving import Serve, Server

CLIENTS = 3
WORD = "xylocarpous"
_PATIENCE_SECONDS = 120


class Encrypted:
    """A server with a key for the namespace `tenant`, and the commands beside it."""

    def __init__(self, folder: Path) -> None:
        self.environ = {
            "SFM_ENCRYPTION_KEYS_FILE": str(folder / "keys.json"),
            "SFM_DATA_FOLDER": str(folder / "served" / "data"),
            "SFM_EMBEDDER_URL": "hashing:",
            "SFM_LEASE_SECONDS": "6",
            "SFM_SWEEP_INTERVAL_SECONDS": "1",
            "UVICORN_WORKERS": "2",
            "SOMA_RATE_LIMIT_MAX": "0",
        }

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        path = os.environ["PATH"]  # noqa: TID251 - the command finds its interpreter there
        return subprocess.Popen(
            [sys.executable, "-m", "sfm_server", *arguments],
            env={**self.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def sfm(self, *arguments: str) -> str:
        with self.begin(*arguments) as command:
            out, err = command.communicate(timeout=_PATIENCE_SECONDS)
            assert command.returncode == 0, err
            return out


class Load(threading.Thread):
    """A client that stores as fast as it is answered, until it is told to stop."""

    def __init__(self, server: Server, numbers: Iterator[int]) -> None:
        super().__init__()
        self._server = server
        self._numbers = numbers
        self.over = threading.Event()
        self.acknowledged = 0
        self.statuses: set[int] = set()

    def run(self) -> None:
        with httpx.Client(base_url=self._server.url, timeout=60) as client:
            while not self.over.is_set():
                number = next(self._numbers)
                body = {
                    "coord": str(number),
                    "payload": {"text": f"A {WORD} fox number {number}."},
                    "episode": {"name": WORD, "order": number},
                    "namespace": "tenant",
                }
                answer = client.post("/store", json=body)
                self.statuses.add(answer.status_code)
                self.acknowledged += answer.is_success


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        # Other processes are waited for, whose clock no test can move.
        time.sleep(0.05)  # noqa: TID251


def files_with(folder: Path, word: str) -> list[str]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in found if word.encode() in path.read_bytes()]


def is_readable(server: Server) -> bool:
    return httpx.get(f"{server.url}/memories/0?namespace=tenant", timeout=30).status_code == 404


def count_memories(server: Server) -> int:
    stats = httpx.get(f"{server.url}/stats?namespace=tenant", timeout=30).json()
    return int(stats["total_memories"])


@pytest.fixture
def encrypted(tmp_path: Path) -> Encrypted:
    made = Encrypted(tmp_path)
    made.sfm("keys", "new", "one")
    made.sfm("keys", "new", "own", "--for", "tenant")
    return made


@pytest.fixture
def server(serve: Serve, encrypted: Encrypted) -> Server:
    return serve(**encrypted.environ)


@pytest.fixture
def load(server: Server) -> list[Load]:
    numbers = itertools.count()
    clients = [Load(server, numbers) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    until(lambda: all(client.acknowledged > 20 for client in clients))
    return clients


def stop(load: list[Load]) -> None:
    for client in load:
        client.over.set()
    for client in load:
        client.join()


def statuses_of(load: list[Load]) -> set[int]:
    return {status for client in load for status in client.statuses}


def check_usable(server: Server, encrypted: Encrypted) -> None:
    encrypted.sfm("keys", "new", "next", "--for", "tenant")
    body = {"coord": "0", "payload": {"text": "A whale."}, "namespace": "tenant"}
    until(lambda: httpx.post(f"{server.url}/store", json=body, timeout=30).is_success)
    lines = httpx.get(f"{server.url}/export_memories", timeout=60).text.splitlines()
    assert [json.loads(line).get("kind") for line in lines] == ["header", "memory", "footer"]
    assert count_memories(server) == 1


def test_nothing_is_left_where_workers_were_writing(
    server: Server, encrypted: Encrypted, load: list[Load]
) -> None:
    assert files_with(server.data, WORD)
    done = json.loads(encrypted.sfm("keys", "destroy", "own", "--erase", "--json"))
    stop(load)
    assert (done["namespaces"], done["pending"], done["uncounted"]) == (["tenant"], False, [])
    assert statuses_of(load) == {200, 410}
    assert is_readable(server)
    assert files_with(server.data, WORD) == []
    check_usable(server, encrypted)


def test_the_workers_see_to_it_where_the_command_was_killed(
    server: Server, encrypted: Encrypted, load: list[Load]
) -> None:
    keys = Path(encrypted.environ["SFM_ENCRYPTION_KEYS_FILE"])
    with encrypted.begin("keys", "destroy", "own", "--erase", "--json") as command:
        until(lambda: json.loads(keys.read_text())["keys"][1]["key"] == "")
        command.kill()
    stop(load)
    # Counters are set right when nothing is left of what they count.
    until(lambda: count_memories(server) == 0)
    assert is_readable(server)
    check_usable(server, encrypted)


def test_no_write_is_lost_where_a_key_is_exchanged_and_destroyed_in_a_hurry(
    server: Server, encrypted: Encrypted, load: list[Load]
) -> None:
    encrypted.sfm("keys", "new", "next", "--for", "tenant")
    destroyed = False
    while not destroyed:
        encrypted.sfm("keys", "rotate")
        with encrypted.begin("keys", "destroy", "own") as command:
            _, said = command.communicate(timeout=_PATIENCE_SECONDS)
            destroyed = command.returncode == 0
            assert destroyed or "sfm keys rotate" in said
    stop(load)
    assert statuses_of(load) == {200}
    lines = httpx.get(f"{server.url}/export_memories", timeout=60).text.splitlines()
    kept = [line for line in lines if json.loads(line).get("kind") == "memory"]
    assert len(kept) == sum(client.acknowledged for client in load)
