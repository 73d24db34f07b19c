"""Listings page by page over HTTP."""

from __future__ import annotations

import httpx
import pytest

COUNT = 7


@pytest.fixture
async def stocked(api: httpx.AsyncClient) -> httpx.AsyncClient:
    for number in range(COUNT):
        body = {"coord": f"{number}", "payload": {"n": number}}
        await api.post("/store", json=body)
        await api.post("/store", json={"coord": "0", "payload": {"n": -number}})
        ends = {"from_coord": "0", "to_coord": f"{number}", "weight": number % 3}
        await api.post("/link", json=ends)
        await api.post("/store", json={**body, "namespace": f"of {number}"})
    return api


LISTINGS: dict[str, tuple[str, dict[str, str], str]] = {
    "memories": ("/memories", {}, "memories"),
    "range": ("/range", {"min": "0", "max": "9"}, "coords"),
    "history": ("/memories/0/history", {}, "versions"),
    "neighbors": ("/neighbors", {"coord": "0"}, "neighbors"),
    "namespaces": ("/namespaces", {}, "namespaces"),
}


@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize("limit", [1, 3, COUNT + 1, 100])
async def test_pages_make_up_the_whole(stocked: httpx.AsyncClient, name: str, limit: int) -> None:
    path, query, members = LISTINGS[name]
    whole = (await stocked.get(path, params=query)).json()
    assert "next_cursor" not in whole
    found: list[object] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await stocked.get(path, params={**query, "limit": limit, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page[members]
        if "next_cursor" not in page:
            break
        assert len(page[members]) == limit
        cursor = {"cursor": page["next_cursor"]}
    assert found == whole[members]
    assert len(found) >= COUNT


@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "\u00e9", "=" * 9000])
async def test_what_is_no_cursor_is_refused(
    stocked: httpx.AsyncClient, name: str, cursor: str
) -> None:
    path, query, _ = LISTINGS[name]
    answer = await stocked.get(path, params={**query, "cursor": cursor})
    problem = answer.json()
    assert (answer.status_code, problem["type"], problem["field"]) == (
        400,
        "urn:sfm:error:invalid-cursor",
        "cursor",
    )


async def test_a_cursor_is_good_for_its_own_listing_only(stocked: httpx.AsyncClient) -> None:
    cursors: dict[str, str] = {}
    for name, (path, query, _) in LISTINGS.items():
        page = (await stocked.get(path, params={**query, "limit": 1})).json()
        cursors[name] = page["next_cursor"]
    for name, (path, query, _) in LISTINGS.items():
        for other, cursor in cursors.items():
            asked: dict[str, str | int] = {**query, "cursor": cursor}
            status = (await stocked.get(path, params=asked)).status_code
            assert status == (200 if name == other else 400)
            if name != "namespaces":
                elsewhere = {**asked, "namespace": "of 1"}
                assert (await stocked.get(path, params=elsewhere)).status_code == 400
    typed = {"cursor": cursors["memories"], "type": "episodic"}
    assert (await stocked.get("/memories", params=typed)).status_code == 400


async def test_a_listing_tells_each_memory_whole(stocked: httpx.AsyncClient) -> None:
    [first] = (await stocked.get("/memories", params={"limit": 1})).json()["memories"]
    read = (await stocked.get("/memories/0")).json()
    left_out = {"access_count": None, "last_accessed_at": None}
    assert first == read | left_out
