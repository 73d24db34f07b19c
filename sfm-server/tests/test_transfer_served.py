"""Exports of a real server while others write, and imports of one that dies or is cut off."""

from __future__ import annotations

import asyncio

import httpx
import psutil
import pytest
import zstandard
from fix_serving import Serve, Server

LINES = 8000
TYPE = {"Content-Type": "application/x-ndjson"}
CONTENT = b"".join(
    b'{"coord": [%d], "payload": {"text": "fact %d"}}\n' % (number, number)
    for number in range(LINES)
)
PACKED = {**TYPE, "Content-Encoding": "zstd"}
PLACES, EXPORTS = 50, 15
CHEAP = {"SFM_EMBEDDER_URL": "hashing:"}


def client_of(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, timeout=250, trust_env=False)


async def total(client: httpx.AsyncClient) -> int:
    counted: int = (await client.get("/stats")).json()["total_memories"]
    return counted


async def kill_half_way(server: Server, client: httpx.AsyncClient) -> None:
    """End the server as a crash would, as soon as it has stored something."""
    while True:
        if await total(client):
            break
        # Not so often that it is refused.
        await asyncio.sleep(0.02)
    psutil.Process(server.process.pid).kill()
    server.process.wait(120)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["lines", "atomic"])
async def test_an_import_that_is_killed_is_completed_by_the_same_request(
    serve: Serve, mode: str
) -> None:
    server = serve(**CHEAP)
    path, content = f"/import_memories?mode={mode}", zstandard.compress(CONTENT)
    async with client_of(server) as client:
        importing = asyncio.create_task(client.post(path, content=content, headers=PACKED))
        await kill_half_way(server, client)
        with pytest.raises(httpx.TransportError):
            await importing
    server = serve(**CHEAP)
    async with client_of(server) as client:
        assert 0 < await total(client) < LINES
        answer = (await client.post(path, content=content, headers=PACKED)).json()
        assert (answer["imported"], answer["failed"]) == (LINES, 0)
        assert await total(client) == LINES
        exported = (await client.get("/export_memories")).content
        assert exported.count(b'"version":1,') == LINES
        # What the dead server had not indexed is owed until its lease ends, or is repaired.
        found = (await client.post("/check", json={"repair": True})).json()
        assert (found["stale"], found["orphans"], found["counters_wrong"]) == (0, 0, 0)
        assert (await client.post("/check", json={})).json()["consistent"] is True


@pytest.mark.long
async def test_an_import_of_all_or_nothing_that_is_cut_off_has_stored_nothing(
    serve: Serve,
) -> None:
    server = serve(**CHEAP)
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = "POST /import_memories?mode=atomic HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
    writer.write(f"{head}Content-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT[:-10])
    await writer.drain()
    writer.close()
    async with client_of(server) as client:
        # The end of the request is known when its place is free again.
        answer = await client.post("/import_memories?mode=check", content=CONTENT, headers=TYPE)
        assert (answer.json()["imported"], await total(client)) == (LINES, 0)


@pytest.mark.long
async def test_many_lines_take_a_server_no_more_memory_than_few(serve: Serve) -> None:
    server = serve(**CHEAP)
    process = psutil.Process(server.process.pid)
    async with client_of(server) as client:

        async def send(times: int) -> int:
            line = b'{"coord": [1], "payload": {"text": "always the same"}}\n'
            packed = zstandard.compress(line * times)
            answer = await client.post(
                "/import_memories?mode=check", content=packed, headers=PACKED
            )
            assert answer.json()["imported"] == times
            held: int = process.memory_info().rss
            return held

        await send(1000)
        few = await send(10_000)
        many = await send(200_000)
        assert many < few + 30_000_000


@pytest.mark.long
async def test_every_export_while_others_write_is_one_that_an_import_takes(serve: Serve) -> None:
    server = serve(**CHEAP)
    exporting = True

    async def write(client: httpx.AsyncClient, text: str) -> None:
        while exporting:
            items = [{"coord": str(n), "payload": {"text": f"{text} {n}"}} for n in range(PLACES)]
            (await client.post("/store_bulk", json={"items": items})).raise_for_status()

    async with client_of(server) as client:
        writers = [asyncio.create_task(write(client, text)) for text in ("one", "another")]
        failed: list[object] = []
        for _ in range(EXPORTS):
            content = (await client.get("/export_memories")).content
            answer = await client.post("/import_memories?mode=check", content=content, headers=TYPE)
            failed += answer.json()["errors"]
        exporting = False
        await asyncio.gather(*writers)
    assert failed == []
