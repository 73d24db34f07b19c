from __future__ import annotations

import httpx
import pytest

PAYLOAD = {"text": "Anna moved to Oslo.", "year": 2024}


async def store(api: httpx.AsyncClient, coord: str = "1,2", **more: object) -> httpx.Response:
    return await api.post("/store", json={"coord": coord, "payload": PAYLOAD} | more)


async def test_store_answers_with_place_and_version(api: httpx.AsyncClient) -> None:
    answer = await store(api, "1.50,2,-3.0")
    said = answer.json()
    assert said.pop("position")
    assert said == {"ok": True, "coord": "1.5,2,-3", "version": 1, "indexed": True}


async def test_store_takes_a_coordinate_as_an_array(api: httpx.AsyncClient) -> None:
    answer = await api.post("/store", json={"coord": [1, 2.5], "payload": PAYLOAD})
    assert answer.json()["coord"] == "1,2.5"


@pytest.mark.smoke
async def test_get_returns_what_was_stored(api: httpx.AsyncClient) -> None:
    await store(api, type="semantic", importance=0.9, episode={"name": "call", "order": 3})
    memory = (await api.get("/memories/1,2")).json()
    assert memory["payload"] == PAYLOAD
    assert (memory["type"], memory["importance"]) == ("semantic", 0.9)
    assert memory["episode"] == {"name": "call", "order": 3}


async def test_get_counts_reads(api: httpx.AsyncClient) -> None:
    await store(api)
    await api.get("/memories/1,2")
    assert (await api.get("/memories/1,2")).json()["access_count"] >= 1


async def test_remember_gives_coordinates_of_its_own(api: httpx.AsyncClient) -> None:
    one = (await api.post("/remember", json={"payload": PAYLOAD})).json()
    other = (await api.post("/remember", json={"payload": PAYLOAD})).json()
    assert one["coord"] != other["coord"]
    assert (await api.get(f"/memories/{one['coord']}")).json()["payload"] == PAYLOAD


async def test_remember_keeps_a_given_coordinate(api: httpx.AsyncClient) -> None:
    answer = await api.post("/remember", json={"payload": PAYLOAD, "coord": "7"})
    assert answer.json()["coord"] == "7"


async def test_store_bulk_counts_and_lists_what_was_left_out(api: httpx.AsyncClient) -> None:
    await store(api, "1")
    items = [
        {"coord": "1", "payload": PAYLOAD, "expected_version": 0},
        {"coord": "2", "payload": PAYLOAD, "type": "semantic"},
    ]
    answer = (await api.post("/store_bulk", json={"items": items})).json()
    assert answer["stored"] == 1
    assert [result and result["coord"] for result in answer["results"]] == [None, "2"]
    assert [(error["item"], error["code"]) for error in answer["errors"]] == [
        (0, "version-conflict")
    ]


async def test_store_bulk_stores_nothing_when_an_item_is_malformed(api: httpx.AsyncClient) -> None:
    items = [{"coord": "1", "payload": PAYLOAD}, {"coord": "x", "payload": PAYLOAD}]
    answer = await api.post("/store_bulk", json={"items": items})
    assert (answer.status_code, answer.json()["field"]) == (400, "items[1].coord")
    assert (await api.get("/stats")).json()["total_memories"] == 0


async def test_a_write_at_another_version_is_a_conflict(api: httpx.AsyncClient) -> None:
    await store(api)
    answer = await store(api, expected_version=5)
    problem = answer.json()
    assert (answer.status_code, problem["expected_version"], problem["actual_version"]) == (
        409,
        5,
        1,
    )


async def test_a_deleted_memory_is_gone(api: httpx.AsyncClient) -> None:
    await store(api)
    assert (await api.delete("/memories/1,2")).json()["deleted"] == 1
    assert (await api.get("/memories/1,2")).status_code == 404
    assert (await api.delete("/memories/1,2")).status_code == 404


async def test_delete_many_passes_over_what_does_not_exist(api: httpx.AsyncClient) -> None:
    await store(api, "1")
    await store(api, "2")
    answer = await api.post("/delete_many", json={"coords": ["1", "2", "3"]})
    assert answer.json()["deleted"] == 2


async def test_a_purged_memory_has_no_history_and_its_stores_are_named(
    api: httpx.AsyncClient,
) -> None:
    await store(api)
    await store(api)
    answer = await api.delete("/memories/1,2", params={"purge": "true"})
    said = answer.json()
    assert (answer.status_code, said["deleted"], said["pending"]) == (200, 1, False)
    states = {one["store"]: one["state"] for one in said["stores"]}
    assert (states["truth"], states["vectors"], states["backups"]) == (
        "removed",
        "removed",
        "remains",
    )
    assert (await api.get("/memories/1,2/history")).status_code == 404
    again = await api.delete("/memories/1,2", params={"purge": "true"})
    assert (again.status_code, again.json()["deleted"]) == (200, 0)


async def test_many_are_purged_also_those_that_were_deleted(api: httpx.AsyncClient) -> None:
    await store(api, "1")
    await store(api, "2")
    await api.delete("/memories/2")
    answer = await api.post("/delete_many", json={"coords": ["1", "2", "3"], "purge": True})
    assert (answer.json()["deleted"], answer.json()["pending"]) == (2, False)


async def test_range_lists_the_coordinates_of_a_box(api: httpx.AsyncClient) -> None:
    for coord in ("0,0", "1,1", "2,2", "1,9"):
        await store(api, coord)
    answer = await api.get("/range", params={"min": "1,1", "max": "2,2"})
    assert answer.json() == {"coords": ["1,1", "2,2"]}


async def test_range_can_be_narrowed_to_a_type(api: httpx.AsyncClient) -> None:
    await store(api, "1", type="semantic")
    await store(api, "2")
    answer = await api.get("/range", params={"min": "0", "max": "9", "type": "semantic"})
    assert answer.json()["coords"] == ["1"]


@pytest.mark.parametrize("way", ["body", "header", "query"])
async def test_a_namespace_can_be_named(api: httpx.AsyncClient, way: str) -> None:
    name = "caf\u00e9 \u2603"
    await store(api, namespace=name)
    headers = [(b"X-SFM-Namespace", name.encode())] if way == "header" else []
    if way == "body":
        answer = await api.post("/recall", json={"query": "Anna", "namespace": name})
        found = len(answer.json()["matches"])
    else:
        query = {"namespace": name} if way == "query" else {}
        answer = await api.get("/stats", params=query, headers=headers)
        found = answer.json()["total_memories"]
    assert found == 1
    assert (await api.get("/stats")).json()["total_memories"] == 0
