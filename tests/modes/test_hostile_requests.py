from __future__ import annotations

import asyncio
import json
import re

import pytest

from tests import hostile_corpus
from tests.fix_server import ServerProcess, ask

PATIENCE_SECONDS = 120
AT_ONCE = 8
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


async def talk(server: ServerProcess, request: bytes, *, then_close: bool = False) -> bytes:
    """Send bytes, and return everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(request)
        if then_close:
            await writer.drain()
            return b""
        # The server may refuse what is too large before it has come: what is still sent then is
        # answered with a reset, or with a broken pipe where the end of the answer came first.
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def status_of(server: ServerProcess, request: bytes) -> list[int]:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await talk(server, request)
    except TimeoutError:
        return [599]
    return [int(status) for status in STATUS.findall(answer)]


async def is_sound(server: ServerProcess) -> bool:
    """Tell whether all that is stored can be read, and the derived stores agree with it."""
    async with server.client() as client:
        report = await ask(client, "/check", {})
        exported = [
            json.loads(line) for line in (await client.get("/export_memories")).iter_lines()
        ]
    memories = sum(line["kind"] == "memory" for line in exported)
    return (
        report["consistent"] is True
        and exported[-1]["kind"] == "footer"
        and memories == report["memories"]
    )


# Parts of a memory are in stores, so each that ours can be left in has its turn.
@pytest.mark.modes("embedded", "development", "evented_enterprise")
async def test_no_request_breaks_the_server_or_leaves_half_a_memory(server: ServerProcess) -> None:
    # More than one caller may have of them otherwise; what is over that is answered with 503.
    server.variables["SFM_MAX_ADMIN"] = str(4 * AT_ONCE)
    await server.start()
    corpus = hostile_corpus.requests()
    assert len(corpus) >= 500
    waiting = iter(corpus)
    broken: list[tuple[int, bytes]] = []

    async def send() -> None:
        for request in waiting:
            statuses = await status_of(server, request)
            broken.extend((status, request[:300]) for status in statuses if status >= 500)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(send())

    assert broken == []
    assert await is_sound(server)
    assert "Traceback" not in server.log


# Who reads requests does not know the mode: the two below run where writes take least and longest.
@pytest.mark.modes("embedded", "evented_enterprise")
async def test_a_body_that_breaks_off_is_not_stored(shared_server: ServerProcess) -> None:
    server = shared_server
    whole = hostile_corpus.post("/store", b'{"coord": "5,5", "payload": {"text": "cut off"}}')
    for length in range(len(whole) - 30, len(whole)):
        await talk(server, whole[:length], then_close=True)

    async with server.client() as client:
        assert (await client.get("/memories/5,5")).status_code == 404
    assert await is_sound(server)
    assert "Traceback" not in server.log


@pytest.mark.modes("embedded", "evented_enterprise")
async def test_bodies_that_trickle_in_hold_nobody_up(shared_server: ServerProcess) -> None:
    server = shared_server
    whole = hostile_corpus.post("/store", b'{"coord": "6,6", "payload": {"text": "slow"}}')
    slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(50)]
    async with server.client() as client:
        for start in range(0, len(whole), 40):
            for _, writer in slow:
                writer.write(whole[start : start + 40])
                await writer.drain()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await ask(client, "/recall", {"query": "anything"})

    for reader, writer in slow:
        assert STATUS.findall(await reader.read()) == [b"200"]
        writer.close()
    async with server.client() as client:
        assert (await client.get("/memories/6,6")).json()["version"] == len(slow)
