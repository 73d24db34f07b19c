"""Deleting many memories over HTTP: by coordinates, or by what a filter picks."""

from __future__ import annotations

from typing import cast

import httpx
import pytest

COUNT = 20


@pytest.fixture
async def filled(api: httpx.AsyncClient) -> httpx.AsyncClient:
    items = [{"coord": str(n), "payload": {"parity": ("even", "odd")[n % 2]}} for n in range(COUNT)]
    await api.post("/store_bulk", json={"items": items})
    return api


async def delete(api: httpx.AsyncClient, **body: object) -> dict[str, object]:
    answer = await api.post("/delete_many", json=body)
    assert answer.status_code == 200, answer.text
    return cast(dict[str, object], answer.json())


async def total(api: httpx.AsyncClient) -> int:
    counted: int = (await api.get("/stats")).json()["total_memories"]
    return counted


async def test_a_filter_picks_what_is_deleted(filled: httpx.AsyncClient) -> None:
    answer = await delete(filled, filters={"parity": "even"})
    assert (answer["deleted"], answer["matched"], answer["examined"]) == (10, 10, COUNT)
    assert "next_cursor" not in answer
    assert await total(filled) == 10


async def test_a_dry_run_only_counts(filled: httpx.AsyncClient) -> None:
    by_filter = await delete(filled, filters={"parity": "odd"}, dry_run=True)
    assert (by_filter["deleted"], by_filter["matched"]) == (0, 10)
    assert cast(list[str], by_filter["examples"])[:2] == ["1", "3"]
    by_coords = await delete(filled, coords=["1", "1", "99"], dry_run=True)
    assert (by_coords["deleted"], by_coords["matched"]) == (0, 1)
    assert await total(filled) == COUNT


async def test_cursors_lead_through_all_parts(filled: httpx.AsyncClient) -> None:
    body: dict[str, object] = {"filters": {"parity": "even"}, "limit": 6}
    deleted = 0
    while True:
        answer = await delete(filled, **body)
        deleted += cast(int, answer["deleted"])
        if "next_cursor" not in answer:
            break
        body["cursor"] = answer["next_cursor"]
    assert (deleted, await total(filled)) == (10, 10)


async def test_a_cursor_of_a_dry_run_deletes_nothing(filled: httpx.AsyncClient) -> None:
    body = {"filters": {"parity": "even"}, "limit": 6}
    counted = await delete(filled, **body, dry_run=True)
    answer = await filled.post("/delete_many", json={**body, "cursor": counted["next_cursor"]})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:sfm:error:invalid-cursor")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "filters"),
        ({"filters": {}}, "filters"),
        ({"filters": {"$never": 1}}, "filters.$never"),
        ({"coords": ["1"], "filters": {"a": 1}}, "coords"),
        ({"coords": ["1"], "type": "semantic"}, "coords"),
        ({"type": "semantic", "limit": 0}, "limit"),
        ({"type": "semantic", "limit": 50_001}, "limit"),
    ],
)
async def test_what_does_not_say_what_is_meant_is_refused(
    filled: httpx.AsyncClient, body: dict[str, object], field: str
) -> None:
    answer = await filled.post("/delete_many", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert await total(filled) == COUNT


async def test_with_a_key_a_filter_is_about_the_memories_that_it_found_first(
    filled: httpx.AsyncClient,
) -> None:
    body = {"filters": {"parity": "even"}}
    headers = {"Idempotency-Key": "k"}
    first = await filled.post("/delete_many", json=body, headers=headers)
    note = {"coord": "77", "payload": {"text": "later", "parity": "even"}}
    assert (await filled.post("/store", json=note)).status_code == 200
    again = await filled.post("/delete_many", json=body, headers=headers)
    other = await filled.post("/delete_many", json={"type": "episodic"}, headers=headers)
    assert again.json() | {"position": ""} == first.json() | {"position": ""}
    assert await total(filled) == COUNT // 2 + 1
    assert (other.status_code, other.json()["type"]) == (
        422,
        "urn:sfm:error:idempotency-key-reused",
    )


async def test_a_filter_deletes_in_its_namespace_only(filled: httpx.AsyncClient) -> None:
    answer = await delete(filled, type="episodic", namespace="other")
    assert (answer["deleted"], await total(filled)) == (0, COUNT)


async def test_what_a_filter_picks_is_purged_and_every_store_reported(
    filled: httpx.AsyncClient,
) -> None:
    body = {"filters": {"parity": "even"}, "purge": True}
    counted = (await filled.post("/delete_many", json={**body, "dry_run": True})).json()
    assert (counted["matched"], "stores" in counted) == (COUNT // 2, False)
    done = (await filled.post("/delete_many", json=body)).json()
    assert (done["deleted"], done["pending"]) == (COUNT // 2, False)
    assert {one["store"] for one in done["stores"]} >= {"truth", "vectors", "backups"}
    assert await total(filled) == COUNT - COUNT // 2
