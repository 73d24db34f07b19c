"""Many clients of one server at once, in each mode."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

import httpx
import pytest

from sfm_core.model.payload import Payload
from tests.fix_server import ServerProcess, ask, look

CLIENTS = 64
ROUNDS = 3


async def test_clients_at_once_each_find_what_they_stored(shared_server: ServerProcess) -> None:
    space = f"of-{uuid4().hex}"

    async def work(number: int) -> None:
        async with shared_server.client(space) as client:
            for place in range(ROUNDS):
                text = f"parcel w{number}x{place} of client {number}"
                body: Payload = {"coord": f"{number},{place}", "payload": {"text": text}}
                await ask(client, "/store", body)
                found = await ask(client, "/recall", {"query": f"w{number}x{place}", "top_k": 1})
                assert found["matches"] == [{"text": text}]
            ends: Payload = {"from_coord": f"{number},0", "to_coord": f"{number},1"}
            await ask(client, "/link", ends)
            await client.delete(f"/memories/{number},{ROUNDS - 1}")

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(work(number))

    async with shared_server.client(space) as client:
        stats = await look(client, "/stats")
        assert (stats["total_memories"], stats["links"]) == (CLIENTS * (ROUNDS - 1), CLIENTS)
        assert (await ask(client, "/check", {}))["consistent"] is True


async def test_clients_that_write_one_memory_each_get_a_version_of_their_own(
    shared_server: ServerProcess,
) -> None:
    async with shared_server.client(f"of-{uuid4().hex}") as client:

        async def write(number: int) -> tuple[int, int]:
            body: Payload = {"coord": "0,0", "payload": {"text": f"written by {number}"}}
            version = (await ask(client, "/store", body))["version"]
            assert isinstance(version, int)
            return version, number

        written = sorted(await asyncio.gather(*(write(number) for number in range(CLIENTS))))

        assert [version for version, _ in written] == list(range(1, CLIENTS + 1))
        last = await look(client, "/memories/0,0")
        assert last["payload"] == {"text": f"written by {written[-1][1]}"}
        assert (await ask(client, "/check", {}))["consistent"] is True


async def test_only_one_of_many_who_expect_the_same_version_writes(
    shared_server: ServerProcess,
) -> None:
    async with shared_server.client(f"of-{uuid4().hex}") as client:

        async def claim(number: int) -> httpx.Response:
            payload: Payload = {"text": f"claimed by {number}"}
            body = {"coord": "1,1", "payload": payload, "expected_version": 0}
            return await client.post("/store", json=body)

        answers = await asyncio.gather(*(claim(number) for number in range(CLIENTS)))

        assert sorted(answer.status_code for answer in answers) == [200, *[409] * (CLIENTS - 1)]
        assert (await look(client, "/memories/1,1"))["version"] == 1


async def test_clients_with_one_key_make_one_memory(shared_server: ServerProcess) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    body: Payload = {"payload": {"text": "asked for again and again"}}
    async with shared_server.client(f"of-{uuid4().hex}") as client:
        answers = await asyncio.gather(
            *(client.post("/remember", json=body, headers=key) for _ in range(CLIENTS))
        )
        assert len({(one.json()["coord"], one.json()["version"]) for one in answers}) == 1
        assert (await look(client, "/stats"))["total_memories"] == 1
        assert (await ask(client, "/check", {}))["consistent"] is True


@pytest.mark.smoke
async def test_a_request_that_is_repeated_leaves_one_of_everything(
    shared_server: ServerProcess,
) -> None:
    payload: Payload = {"text": "sent twice"}
    store: Payload = {"coord": "3,1", "payload": payload}
    other: Payload = {"coord": "3,2", "payload": {"text": "the other end"}}
    link: Payload = {"from_coord": "3,1", "to_coord": "3,2", "weight": 2.0}
    line = b'{"coord": [3, 3], "payload": {"text": "imported twice"}}\n'
    async with shared_server.client(f"of-{uuid4().hex}") as client:
        await ask(client, "/store", other)
        for _ in range(2):
            await ask(client, "/store", store)
            await ask(client, "/link", link)
            await client.post(
                "/import_memories", content=line, headers={"Content-Type": "application/x-ndjson"}
            )
        found = await ask(client, "/recall", {"query": "sent twice", "top_k": 10})
        stats = await look(client, "/stats")
        deletions = [(await client.delete("/memories/3,1")).status_code for _ in range(2)]

        assert json.dumps(found["matches"]).count("sent twice") == 1
        assert (stats["total_memories"], stats["links"]) == (3, 1)
        assert deletions == [200, 404]
        assert (await ask(client, "/check", {}))["consistent"] is True
