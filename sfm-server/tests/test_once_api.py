"""`Idempotency-Key` on every write of the HTTP API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

PAYLOAD = {"text": "Anna moved to Oslo."}
TOGETHER = 2
LINK = {"from_coord": "1", "to_coord": "2"}
LINES = {"Content-Type": "application/x-ndjson"}

Send = Callable[[httpx.AsyncClient, dict[str, str]], Awaitable[httpx.Response]]

WRITES: dict[str, Send] = {
    "store": lambda api, key: api.post(
        "/store", json={"coord": "1", "payload": PAYLOAD}, headers=key
    ),
    "remember": lambda api, key: api.post("/remember", json={"payload": PAYLOAD}, headers=key),
    "remember at a place": lambda api, key: api.post(
        "/remember", json={"coord": "1", "payload": PAYLOAD}, headers=key
    ),
    "store_bulk": lambda api, key: api.post(
        "/store_bulk",
        json={"items": [{"coord": str(n), "payload": PAYLOAD} for n in (1, 5, 5)]},
        headers=key,
    ),
    "put": lambda api, key: api.put("/memories/7", json={"payload": PAYLOAD}, headers=key),
    "patch": lambda api, key: api.patch("/memories/1", json={"importance": 1}, headers=key),
    "delete": lambda api, key: api.delete("/memories/1", headers=key),
    "delete_many": lambda api, key: api.post(
        "/delete_many", json={"coords": ["1", "2", "3"]}, headers=key
    ),
    "link": lambda api, key: api.post("/link", json=LINK, headers=key),
    "unlink": lambda api, key: api.post(
        "/unlink", json={"from_coord": "2", "to_coord": "1"}, headers=key
    ),
    "import": lambda api, key: api.post(
        "/import_memories",
        content=b'{"coord": [1], "payload": {"n": 1}}\n{"coord": [9], "payload": {"n": 2}}\n',
        headers=key | LINES,
    ),
}


def named(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


@pytest.fixture
async def stocked(api: httpx.AsyncClient) -> httpx.AsyncClient:
    for coord in ("1", "2"):
        await api.post("/store", json={"coord": coord, "payload": {"text": "there already"}})
    await api.post("/link", json={"from_coord": "2", "to_coord": "1"})
    return api


def gist(answer: httpx.Response) -> object:
    said = answer.json()
    return answer.status_code, {name: said[name] for name in said if name != "position"}


@pytest.mark.parametrize("name", WRITES)
async def test_a_repeated_request_is_answered_as_the_first(
    stocked: httpx.AsyncClient, name: str
) -> None:
    first = await WRITES[name](stocked, named("k"))
    listed = (await stocked.get("/memories")).json()
    again = await asyncio.gather(*(WRITES[name](stocked, named("k")) for _ in range(TOGETHER)))
    assert first.is_success, first.text
    assert [gist(answer) for answer in again] == [gist(first)] * TOGETHER
    assert (await stocked.get("/memories")).json() == listed


@pytest.mark.parametrize("name", WRITES)
async def test_a_key_of_another_request_is_refused(stocked: httpx.AsyncClient, name: str) -> None:
    await stocked.put("/memories/99", json={"payload": PAYLOAD}, headers=named("k"))
    answer = await WRITES[name](stocked, named("k"))
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:sfm:error:idempotency-key-reused",
    )


async def test_a_deletion_of_nothing_stays_one(stocked: httpx.AsyncClient) -> None:
    assert (await stocked.delete("/memories/50", headers=named("k"))).status_code == 404
    await stocked.put("/memories/50", json={"payload": PAYLOAD})
    assert (await stocked.delete("/memories/50", headers=named("k"))).status_code == 404
    assert (await stocked.get("/memories/50")).status_code == 200


async def test_a_repeated_put_is_not_held_to_what_it_demanded(api: httpx.AsyncClient) -> None:
    headers = named("k") | {"If-None-Match": "*"}
    answers = [
        await api.put("/memories/1", json={"payload": PAYLOAD}, headers=headers) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].headers["ETag"] == answers[1].headers["ETag"]


@pytest.mark.parametrize("same", ['"a-b"', "a-b", ' "a-b" '])
async def test_a_key_may_stand_in_quotes(api: httpx.AsyncClient, same: str) -> None:
    await WRITES["store"](api, named("a-b"))
    assert (await WRITES["store"](api, named(same))).json()["version"] == 1


@pytest.mark.parametrize("key", ["", '""', '"a', '"a"b"', "x" * 256, "caf\u00e9", '"a";p=1'])
async def test_a_header_that_holds_no_key_is_refused(api: httpx.AsyncClient, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    answer = await api.post("/store", json={"coord": "1", "payload": PAYLOAD}, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")
    assert (await api.get("/stats")).json()["total_memories"] == 0


async def test_two_keys_are_none(api: httpx.AsyncClient) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await api.post("/store", json={"coord": "1", "payload": PAYLOAD}, headers=headers)
    assert answer.status_code == 422
