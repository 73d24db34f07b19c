"""One key, many clients, several workers, and deaths: one memory and one event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import psutil
import pytest
from fix_serving import Serve, Server

CLIENTS = 64
LINES = 4000
KEY = {"Idempotency-Key": "of-this-test"}
LINES_TYPE = {"Content-Type": "application/x-ndjson"}


def kill(server: Server) -> None:
    """End a server and its workers as a crash would."""
    family = [server.process.pid, *(w.pid for w in psutil.Process(server.process.pid).children())]
    processes = [psutil.Process(pid) for pid in family]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes[1:], timeout=120)
    server.process.wait(120)


def client_of(server: Server) -> httpx.AsyncClient:
    # A connection for each request, so that they are spread over the workers.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=server.url, timeout=250, limits=limits, trust_env=False)


async def something_is_stored(server: Server) -> None:
    async with client_of(server) as client:
        while not (await client.get("/stats")).json()["total_memories"]:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def remember(client: httpx.AsyncClient) -> httpx.Response:
    body = {"payload": {"text": "a whale was seen"}}
    return await client.post("/remember", json=body, headers=KEY)


async def test_many_clients_with_one_key_make_one_memory_and_one_event(serve: Serve) -> None:
    server = serve(UVICORN_WORKERS="4")
    async with client_of(server) as client:
        begin = (await client.get("/events/page", params={"after": "now"})).json()["position"]
        answers = await asyncio.gather(*(remember(client) for _ in range(CLIENTS)))
        places = {(one.json()["coord"], one.json()["version"]) for one in answers}
        assert [one.status_code for one in answers] == [200] * CLIENTS
        assert len(places) == 1
        told = (await client.get("/events/page", params={"after": begin})).json()["events"]
        assert len(told) == 1
        assert (await client.get("/stats")).json()["total_memories"] == 1
    kill(server)
    again = serve()
    async with client_of(again) as client:
        repeated = (await remember(client)).json()
        assert {(repeated["coord"], repeated["version"])} == places
        assert (await client.get("/stats")).json()["total_memories"] == 1
        assert (await client.post("/check", json={})).json()["consistent"] is True


async def test_an_import_that_is_killed_goes_on_with_its_key(serve: Serve) -> None:
    server = serve()

    async def lines(*, dies: bool) -> AsyncIterator[bytes]:
        for number in range(LINES):
            if dies and number == LINES - 500:
                await something_is_stored(server)
                kill(server)
            document = {"coord": [number], "payload": {"text": f"fact {number}"}}
            yield json.dumps(document).encode() + b"\n"

    async with client_of(server) as client:
        with pytest.raises(httpx.TransportError):
            await client.post(
                "/import_memories", content=lines(dies=True), headers=KEY | LINES_TYPE
            )
    server = serve()
    async with client_of(server) as client:
        before = (await client.get("/stats")).json()["total_memories"]
        assert 0 < before < LINES
        await client.put("/memories/0", json={"payload": {"text": "written since"}})
        await client.delete("/memories/1")
        answer = await client.post(
            "/import_memories", content=lines(dies=False), headers=KEY | LINES_TYPE
        )
        assert (answer.json()["imported"], answer.json()["failed"]) == (LINES, 0)
        assert (await client.get("/stats")).json()["total_memories"] == LINES - 1
        assert (await client.get("/memories/0")).json()["payload"] == {"text": "written since"}
        page = (await client.get("/memories", params={"limit": 1000})).json()["memories"]
        assert {one["version"] for one in page[1:]} == {1}
