"""Each request of the interface, told to a real server in each mode."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import cast
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from sfm_core.model.payload import Payload
from tests.fix_server import Json, ServerProcess, ask, health_of, look, settled

NOTES = {
    "1,1": "the kettle in the kitchen is broken",
    "1,2": "Bob repairs all kinds of things",
    "2,1": "the train to Bergen leaves at dawn",
}


@pytest_asyncio.fixture
async def client(shared_server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client with some notes of its own, whose server agrees with itself when the test ends."""
    async with shared_server.client(f"of-{uuid4().hex}") as client:
        for coord, text in NOTES.items():
            await ask(client, "/store", {"coord": coord, "payload": {"text": text}})
        yield client

        async def consistent() -> bool:
            # An expired memory is in the indexes until the next round of upkeep.
            return (await ask(client, "/check", {}))["consistent"] is True

        await settled(consistent)
    assert "Traceback" not in shared_server.log


async def status(client: httpx.AsyncClient, coord: str) -> int:
    return (await client.get(f"/memories/{coord}")).status_code


@pytest.mark.smoke
async def test_what_is_stored_can_be_recalled_and_read(client: httpx.AsyncClient) -> None:
    recalled = await ask(client, "/recall", {"query": "broken kettle", "top_k": 1})
    read = await look(client, "/memories/1,1")

    assert recalled["matches"] == [{"text": NOTES["1,1"]}]
    assert (read["payload"], read["version"]) == ({"text": NOTES["1,1"]}, 1)


async def test_every_kind_of_recall_finds_it(client: httpx.AsyncClient) -> None:
    scored = await ask(client, "/recall_with_scores", {"query": "train", "top_k": 1})
    batch = await ask(client, "/recall_batch", {"queries": ["kettle", "train"], "top_k": 1})
    context: Payload = {"query": "when does it leave", "context": "a train", "top_k": 1}
    in_context = await ask(client, "/recall_with_context", context)

    assert coords_of(scored) == coords_of(in_context) == ["2,1"]
    assert batch["batches"] == [[{"text": NOTES["1,1"]}], [{"text": NOTES["2,1"]}]]


async def test_filters_and_types_narrow_a_recall(client: httpx.AsyncClient) -> None:
    for number, color in enumerate(("red", "green", "blue")):
        payload: Payload = {"text": "a painted door", "color": color, "size": number}
        body: Payload = {"coord": f"7,{number}", "payload": payload, "type": "semantic"}
        await ask(client, "/store", body)

    narrow: Payload = {"color": {"$in": ["red", "blue"]}, "size": {"$gt": 0}}
    filtered = await ask(client, "/recall_with_scores", {"query": "door", "filters": narrow})
    typed = await ask(client, "/recall_with_scores", {"query": "kettle", "type": "semantic"})

    assert coords_of(filtered) == ["7,2"]
    assert set(coords_of(typed)) <= {"7,0", "7,1", "7,2"}


async def test_a_replaced_memory_is_recalled_as_it_is_now_and_keeps_its_history(
    client: httpx.AsyncClient,
) -> None:
    new: Payload = {"coord": "1,1", "payload": {"text": "the teapot is whole again"}}
    stored = await ask(client, "/store", new)
    history = await look(client, "/memories/1,1/history")

    assert stored["version"] == 2
    assert [version["version"] for version in objects(history["versions"])] == [2, 1]
    found = await ask(client, "/recall_with_scores", {"query": "kettle kitchen broken"})
    assert {"text": NOTES["1,1"]} not in [hit["payload"] for hit in objects(found["results"])]


async def test_a_write_that_expects_another_version_is_a_conflict(
    client: httpx.AsyncClient,
) -> None:
    body = {"coord": "1,1", "payload": {"text": "late"}, "expected_version": 0}
    assert (await client.post("/store", json=body)).status_code == 409
    assert (await client.delete("/memories/1,1", params={"expected_version": 7})).status_code == 409
    assert (await look(client, "/memories/1,1"))["payload"] == {"text": NOTES["1,1"]}


async def test_links_lead_from_one_memory_to_another(client: httpx.AsyncClient) -> None:
    for source, target in (("1,1", "1,2"), ("1,2", "2,1")):
        await ask(client, "/link", {"from_coord": source, "to_coord": target, "weight": 0.5})

    path = await look(client, "/shortest_path", frm="1,1", to="2,1")
    near = await look(client, "/neighbors", coord="1,2", direction="in")
    assert path["path"] == ["1,1", "1,2", "2,1"]
    assert [pair[0] for pair in lists(near["neighbors"])] == ["1,1"]

    await ask(client, "/unlink", {"from_coord": "1,2", "to_coord": "2,1"})
    assert (await look(client, "/shortest_path", frm="1,1", to="2,1"))["path"] == []


async def test_a_range_lists_what_lies_between_two_corners(client: httpx.AsyncClient) -> None:
    for coord in ("-1,5", "0,-3.5", "1,2,3"):
        await ask(client, "/store", {"coord": coord, "payload": {"text": "elsewhere"}})

    assert (await look(client, "/range", min="0,-4", max="1,1"))["coords"] == ["0,-3.5", "1,1"]
    assert (await look(client, "/range", min="-2,0", max="2,9"))["coords"] == [
        "-1,5",
        "1,1",
        "1,2",
        "2,1",
    ]


async def test_a_deleted_memory_is_gone_from_everywhere(client: httpx.AsyncClient) -> None:
    await ask(client, "/link", {"from_coord": "1,1", "to_coord": "1,2"})
    deleted = await client.delete("/memories/1,1")

    assert deleted.json()["deleted"] == 1
    assert await status(client, "1,1") == 404
    assert NOTES["1,1"] not in json.dumps(await ask(client, "/recall", {"query": "kettle"}))
    assert (await look(client, "/neighbors", coord="1,2", direction="in"))["neighbors"] == []
    assert (await look(client, "/range", min="1,1", max="1,1"))["coords"] == []


async def test_a_purged_memory_is_gone_with_its_history_and_every_store_reports(
    client: httpx.AsyncClient,
) -> None:
    await ask(client, "/store", {"coord": "1,1", "payload": {"text": "the kettle is mended"}})

    states: dict[str, str] = {}

    async def nothing_waits() -> bool:
        purged = await client.delete("/memories/1,1", params={"purge": "true"})
        assert purged.status_code == 200, purged.text
        states.update({one["store"]: one["state"] for one in purged.json()["stores"]})
        return purged.json()["pending"] is False

    await settled(nothing_waits)
    assert {"truth", "vectors", "graph", "cache", "backups"} <= set(states)
    assert (await client.get("/memories/1,1/history")).status_code == 404
    assert "kettle" not in json.dumps(await ask(client, "/recall", {"query": "kettle"}))


async def test_many_are_stored_and_deleted_in_one_request(client: httpx.AsyncClient) -> None:
    items: list[Payload] = [
        {"coord": f"9,{n}", "payload": {"text": f"parcel {n}"}} for n in range(300)
    ]
    stored = await ask(client, "/store_bulk", {"items": items})
    coords = [f"9,{n}" for n in range(100, 400)]
    deleted = await ask(client, "/delete_many", {"coords": coords})

    assert (stored["stored"], deleted["deleted"]) == (300, 200)
    assert (await look(client, "/stats"))["total_memories"] == len(NOTES) + 100


async def test_a_memory_that_has_expired_is_not_shown(client: httpx.AsyncClient) -> None:
    brief: Payload = {"coord": "5,5", "payload": {"text": "a very brief note"}}
    await ask(client, "/store", {**brief, "ttl_seconds": 86_400})
    assert await status(client, "5,5") == 200
    await ask(client, "/store", {**brief, "ttl_seconds": 0.5})

    async def gone() -> bool:
        return await status(client, "5,5") == 404

    await settled(gone)

    recalled = await ask(client, "/recall", {"query": "very brief note", "top_k": 10})
    assert "brief" not in json.dumps(recalled)


async def test_importance_changes_and_everything_else_stays(client: httpx.AsyncClient) -> None:
    before = await look(client, "/memories/1,2")
    changed = await client.patch("/memories/1,2", json={"importance": 0.9})
    after = await look(client, "/memories/1,2")

    assert changed.status_code == 200
    assert after == before | {
        "importance": 0.9,
        "version": 2,
        "updated_at": after["updated_at"],
        "last_accessed_at": after["last_accessed_at"],
        "access_count": after["access_count"],
    }


async def test_changes_are_told_from_where_a_client_was_and_told_again(
    client: httpx.AsyncClient, mode: str
) -> None:
    if mode == "test":
        assert (await client.get("/events")).status_code == 409
        return
    begin = str((await look(client, "/events/page"))["position"])
    await ask(client, "/store", {"coord": "1,1", "payload": {"text": "mended"}})
    await ask(client, "/link", {"from_coord": "1,1", "to_coord": "1,2"})
    async with client.stream("GET", "/events", headers={"Last-Event-ID": begin}) as stream:
        lines = (line async for line in stream.aiter_lines() if line.startswith("data: "))
        told = [json.loads((await anext(lines)).removeprefix("data: ")) for _ in range(2)]
    replayed = await ask(client, "/events/replay", {"from": "2020-01-01", "dry_run": True})

    assert [(one["subject"], one["version"]) for one in told] == [
        ("1,1", 2),
        ("1,1>related>1,2", 1),
    ]
    assert told[0]["data"]["payload"] == {"text": "mended"}
    assert cast("int", replayed["events"]) >= 5


async def test_the_derived_stores_are_remade_from_the_truth(client: httpx.AsyncClient) -> None:
    assert await ask(client, "/rebuild", {}) != {}
    assert coords_of(await ask(client, "/recall_with_scores", {"query": "Bergen", "top_k": 1})) == [
        "2,1"
    ]


async def test_every_backend_tells_how_it_does(client: httpx.AsyncClient) -> None:
    flags = ("kv_store", "vector_store", "graph_store", "cache", "embedder")

    async def well() -> bool:
        health = await health_of(client)
        return {flag: health[flag] for flag in flags} == dict.fromkeys(flags, True)

    await settled(well)


def objects(value: Json) -> list[dict[str, Json]]:
    assert isinstance(value, list)
    return [one for one in value if isinstance(one, dict)]


def lists(value: Json) -> list[list[Json]]:
    assert isinstance(value, list)
    return [one for one in value if isinstance(one, list)]


def coords_of(answer: dict[str, Json]) -> list[Json]:
    return [result["coord"] for result in objects(answer["results"])]
