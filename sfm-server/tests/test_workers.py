"""Several worker processes: their figures, and what happens when they are told to go or killed."""

from __future__ import annotations

import asyncio
import itertools
import signal
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from fix_serving import Serve, Server, start

CLIENTS = 16
_FIRSTS = itertools.count(0, 100_000)
_PATIENCE_SECONDS = 120


def workers_of(server: Server) -> list[psutil.Process]:
    children = psutil.Process(server.process.pid).children()
    return [one for one in children if "spawn_main" in " ".join(_command(one))]


def starts(server: Server) -> int:
    """How many workers have come so far that they could answer."""
    return server.log.read_text().count("Application startup complete")


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def figure(server: Server, name: str) -> float:
    text = httpx.get(f"{server.url}/metrics", timeout=30).text
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)
    )


def figure_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("sfm-figures-*"))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        # Other processes are waited for, whose clock no test can move.
        time.sleep(0.05)  # noqa: TID251


class Load:
    """Clients that store as fast as they are answered, and remember what was acknowledged."""

    def __init__(self, server: Server, clients: int = CLIENTS) -> None:
        self._clients = clients
        self.server = server
        self.acknowledged: set[str] = set()
        self.statuses: set[int] = set()
        self.cut_off = 0
        self._over = False
        # Apart from those of other loads on the same server.
        self._number = next(_FIRSTS)

    async def run(self, disturb: Callable[[Load], None], *, after: int, more: int) -> None:
        """Store until `more` writes were acknowledged after the disturbance."""
        async with asyncio.timeout(2 * _PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            for _ in range(self._clients):
                group.create_task(self._client())
            await self._acknowledged(after)
            await asyncio.to_thread(disturb, self)
            await self._acknowledged(len(self.acknowledged) + more)
            self._over = True

    async def _acknowledged(self, count: int) -> None:
        # Another process is waited for, which tells of nothing by itself.
        while len(self.acknowledged) < count and not self._over:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def _client(self) -> None:
        async with httpx.AsyncClient(base_url=self.server.url, timeout=30) as client:
            while not self._over:
                self._number += 1
                coord = str(self._number)
                body = {"coord": coord, "payload": {"text": f"fact {coord}"}}
                try:
                    answer = await client.post("/store", json=body)
                except httpx.ConnectError:
                    self._over = self.server.process.poll() is not None
                    await asyncio.sleep(0.01)
                except httpx.TransportError:
                    self.cut_off += 1
                else:
                    self.statuses.add(answer.status_code)
                    if answer.is_success:
                        self.acknowledged.add(coord)


def kept(server: Server) -> set[str]:
    query = {"min": "0", "max": "1000000", "limit": "1000"}
    found: set[str] = set()
    while True:
        coords = httpx.get(f"{server.url}/range", params=query, timeout=30).json()["coords"]
        found.update(coords)
        if len(coords) < 1000:
            return found
        query["min"] = coords[-1]


VARIABLES = {
    "UVICORN_WORKERS": "2",
    "SFM_EMBEDDER_URL": "hashing:",
    "OTEL_TRACES_EXPORTER": "none",
    # A load may store more in a minute than others are allowed.
    "SOMA_RATE_LIMIT_MAX": "0",
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A server of two workers on one data folder."""
    server = start(tmp_path_factory.mktemp("pair"), environ=VARIABLES)
    until(lambda: len(workers_of(server)) == 2)
    yield server
    server.stop(signal.SIGKILL)


async def test_a_worker_that_is_killed_under_load_loses_nothing_and_is_replaced(
    pair: Server,
) -> None:
    load = Load(pair)
    before = {one.pid for one in workers_of(pair)}
    stored = 'sfm_http_requests_total{method="POST",route="/store",status="200"}'
    counted = figure(pair, stored)

    def kill(_: Load) -> None:
        workers_of(pair)[0].kill()

    await load.run(kill, after=100, more=100)
    until(lambda: len({one.pid for one in workers_of(pair)} - before) == 1)
    assert load.statuses == {200}
    assert load.acknowledged <= kept(pair)
    # What the dead have counted stays, what they had in hand does not. A request is counted
    # after its answer is sent, and of each client one may have been answered by the dead.
    least = counted + len(load.acknowledged) - CLIENTS
    until(lambda: figure(pair, stored) >= least)
    until(lambda: figure(pair, "sfm_http_requests_in_flight") == 1)


async def test_workers_are_renewed_under_load_without_an_error(pair: Server) -> None:
    # Few of them, because what is to start needs the processor, too.
    load = Load(pair, clients=2)
    before = {one.pid for one in workers_of(pair)}

    def renew(_: Load) -> None:
        pair.process.send_signal(signal.SIGHUP)
        until(lambda: not before & {one.pid for one in workers_of(pair)})

    await load.run(renew, after=50, more=50)
    assert load.statuses == {200}
    assert load.acknowledged <= kept(pair)


async def test_a_stop_under_load_answers_what_was_accepted(serve: Serve) -> None:
    server = serve(**VARIABLES)
    figures = figure_folders()
    load = Load(server)
    await load.run(lambda _: server.process.send_signal(signal.SIGTERM), after=50, more=10_000)
    log = server.stop()
    assert load.statuses == {200}
    assert "Traceback" not in log
    assert load.acknowledged <= kept(serve(**{**VARIABLES, "UVICORN_WORKERS": "1"}))
    # The folder of figures goes with the server.
    assert len(figures & figure_folders()) < len(figures)


def test_any_worker_tells_the_figures_of_all(pair: Server) -> None:
    for _ in range(20):
        # A new connection each time, so that both workers get some.
        assert httpx.get(f"{pair.url}/stats", timeout=30).is_success
    asked = 'sfm_http_requests_total{method="GET",route="/stats",status="200"}'
    # A request is counted after its answer is sent.
    until(lambda: figure(pair, asked) == 20)
    assert {figure(pair, asked) for _ in range(8)} == {20}


def test_a_worker_that_dies_while_a_store_is_away_is_replaced_when_it_is_back(serve: Serve) -> None:
    server = serve(**VARIABLES)
    until(lambda: starts(server) == 2)
    settings = server.log.parent / ".env"
    settings.write_text("SFM_KV_URL=redis://127.0.0.1:1\n")

    workers_of(server)[0].kill()
    until(lambda: "could not be reached" in server.log.read_text())
    until(lambda: len(workers_of(server)) == 1)
    until(lambda: httpx.get(f"{server.url}/readyz", timeout=30).is_success)
    settings.unlink()

    until(lambda: starts(server) == 3)
    assert server.process.poll() is None
