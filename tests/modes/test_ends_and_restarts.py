from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable

import httpx
import pytest

from sfm_core.model.payload import Payload
from tests.fix_server import ServerProcess, ask, health_of, look, settled
from tests.sample_conversation import LINES, NAMESPACE, QUESTIONS

CLIENTS = 16

pytestmark = pytest.mark.timeout(300)


class Writers:
    """Clients that store until the server is gone, and what was acknowledged to them."""

    def __init__(self, server: ServerProcess) -> None:
        self.acknowledged: dict[str, int] = {}
        self.answered = asyncio.Condition()
        self._server = server

    async def write(self, number: int) -> None:
        """Store one memory after the other, going back to some for another version."""
        chances = random.Random(number)
        async with self._server.client() as client:
            for place in range(100_000):
                coord = f"{number},{place if chances.random() < 0.8 else chances.randint(0, place)}"
                body = {"coord": coord, "payload": {"text": f"note {place} of client {number}"}}
                try:
                    response = await client.post("/store", json=body)
                except httpx.TransportError:
                    return
                # A server that is stopping may refuse; only what it accepts must be kept.
                if response.status_code == 200:
                    async with self.answered:
                        self.acknowledged[coord] = response.json()["version"]
                        self.answered.notify_all()

    async def until(self, writes: int) -> None:
        """Wait until that many memories were acknowledged."""
        async with self.answered:
            await self.answered.wait_for(lambda: len(self.acknowledged) >= writes)


async def write_until(server: ServerProcess, end: Callable[[], object], *, writes: int) -> Writers:
    """Let all clients write, end the server in the middle, and return what they know."""
    writers = Writers(server)
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(writers.write(number))
        await writers.until(writes)
        await asyncio.to_thread(end)
    return writers


async def missing(client: httpx.AsyncClient, acknowledged: dict[str, int]) -> list[str]:
    lost: list[str] = []
    for coord, version in acknowledged.items():
        response = await client.get(f"/memories/{coord}")
        if response.status_code != 200 or response.json()["version"] < version:
            lost.append(coord)
    return lost


@pytest.mark.long
@pytest.mark.lasting
async def test_a_killed_server_has_lost_nothing_that_it_acknowledged(
    server: ServerProcess,
) -> None:
    acknowledged: dict[str, int] = {}
    for round_ in range(1, 4):
        await server.start()
        acknowledged |= (await write_until(server, server.kill, writes=100 * round_)).acknowledged

    await server.start()
    async with server.client() as client:
        assert await missing(client, acknowledged) == []
        assert (await ask(client, "/check", {"repair": True}))["repaired"] is True
        assert (await ask(client, "/check", {}))["consistent"] is True


@pytest.mark.lasting
async def test_a_stopped_server_has_lost_nothing_and_leaves_no_work(
    server: ServerProcess,
) -> None:
    await server.start()

    writers = await write_until(server, server.stop, writes=300)

    await server.start()
    async with server.client() as client:
        assert await missing(client, writers.acknowledged) == []
        while (depth := (await health_of(client))["outbox_depth"]) is None:
            pass
        assert depth == 0
        assert (await ask(client, "/check", {}))["consistent"] is True


@pytest.mark.lasting
async def test_a_restart_keeps_every_memory_version_link_and_expiry(
    server: ServerProcess,
) -> None:
    items = [{key: line[key] for key in ("coord", "payload", "type")} for line in LINES]
    await server.start()
    async with server.client(NAMESPACE) as client:
        await ask(client, "/store_bulk", {"items": items})
        for text in ("once replaced", "twice replaced"):
            replacement: Payload = {"coord": "1,1", "payload": {"text": text}, "importance": 0.9}
            await ask(client, "/store", replacement)
        lent: Payload = {"coord": "8,1", "payload": {"text": "lent"}, "ttl_seconds": 86_400}
        await ask(client, "/store", lent)
        await ask(client, "/link", {"from_coord": "1,1", "to_coord": "2,1", "weight": 0.5})
        await client.delete("/memories/1,3")
        before = await everything(client)
    server.stop()

    await server.start()

    async with server.client(NAMESPACE) as client:
        assert await everything(client) == before
        assert (await ask(client, "/check", {}))["consistent"] is True


async def everything(client: httpx.AsyncClient) -> list[object]:
    """Return all that an export and some questions tell, without what reading changes."""
    lines = [json.loads(line) for line in (await client.get("/export_memories")).iter_lines()]
    kept = [line for line in lines if line["kind"] not in {"header", "footer"}]
    for line in kept:
        line.pop("access_count", None)
        line.pop("last_accessed_at", None)
    answers = [
        (await ask(client, "/recall", {"query": question, "top_k": 3}))["matches"]
        for question in QUESTIONS
    ]
    path = await look(client, "/shortest_path", frm="1,1", to="2,1")
    return [*kept, answers, path]


@pytest.mark.lasting
async def test_another_embedder_finds_what_the_first_one_indexed(server: ServerProcess) -> None:
    items = [{key: line[key] for key in ("coord", "payload", "type")} for line in LINES]
    await server.start(embedder="static:")
    async with server.client() as client:
        await ask(client, "/store_bulk", {"namespace": NAMESPACE, "items": items})
    server.stop()

    await server.start(embedder="hashing:")

    async with server.client() as client:
        await settled(lambda: rebuilt(client))
        for mode in ("dense", "keyword", "hybrid"):
            body = {"namespace": NAMESPACE, "query": "rhubarb and ginger jam", "mode": mode}
            matches = (await ask(client, "/recall", body))["matches"]
            assert isinstance(matches, list)
            assert LINES[9]["payload"] in matches
        assert (await ask(client, "/check", {}))["consistent"] is True


async def rebuilt(client: httpx.AsyncClient) -> bool:
    return (await health_of(client))["rebuilding"] is False


@pytest.mark.smoke
async def test_a_server_answers_its_first_request_and_stops_when_told(
    server: ServerProcess,
) -> None:
    await server.start()
    async with server.client() as client:
        await ask(client, "/store", {"coord": "1,2", "payload": {"text": "the first note"}})
        answer = await ask(client, "/recall", {"query": "first note"})

    assert answer["matches"] == [{"text": "the first note"}]
    server.stop()
