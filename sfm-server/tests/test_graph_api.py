from __future__ import annotations

import httpx
import pytest


@pytest.fixture
async def chain(api: httpx.AsyncClient) -> httpx.AsyncClient:
    """Memories 1 to 4; 1 -> 2 -> 3 costs 2, 1 -> 3 costs 5, 4 stands alone."""
    items = [{"coord": str(n), "payload": {"n": n}} for n in range(1, 5)]
    await api.post("/store_bulk", json={"items": items})
    for source, target, weight in (("1", "2", 1), ("2", "3", 1), ("1", "3", 5)):
        body = {"from_coord": source, "to_coord": target, "weight": weight}
        assert (await api.post("/link", json=body)).json()["ok"]
    return api


async def test_link_answers_with_the_link(chain: httpx.AsyncClient) -> None:
    body = {"from_coord": "3", "to_coord": "4", "type": "next", "weight": 0.5}
    link = (await chain.post("/link", json=body)).json()["link"]
    assert (link["from_coord"], link["to_coord"], link["type"], link["weight"]) == (
        "3",
        "4",
        "next",
        0.5,
    )


async def test_neighbors_come_as_pairs_the_cheapest_first(chain: httpx.AsyncClient) -> None:
    pairs = (await chain.get("/neighbors", params={"coord": "1"})).json()["neighbors"]
    assert [(coord, link["weight"]) for coord, link in pairs] == [("2", 1.0), ("3", 5.0)]


async def test_neighbors_can_be_asked_against_the_direction(chain: httpx.AsyncClient) -> None:
    query = {"coord": "3", "direction": "in"}
    pairs = (await chain.get("/neighbors", params=query)).json()["neighbors"]
    assert sorted(coord for coord, _ in pairs) == ["1", "2"]


@pytest.mark.smoke
async def test_shortest_path_adds_weights_up(chain: httpx.AsyncClient) -> None:
    answer = await chain.get("/shortest_path", params={"frm": "1", "to": "3"})
    assert answer.json() == {"path": ["1", "2", "3"]}


async def test_no_path_is_an_empty_one(chain: httpx.AsyncClient) -> None:
    answer = await chain.get("/shortest_path", params={"frm": "1", "to": "4"})
    assert answer.json() == {"path": []}


async def test_unlink_removes_the_link_once(chain: httpx.AsyncClient) -> None:
    body = {"from_coord": "1", "to_coord": "2"}
    assert (await chain.post("/unlink", json=body)).json()["ok"] is True
    assert (await chain.post("/unlink", json=body)).status_code == 404


async def test_a_link_needs_both_memories(chain: httpx.AsyncClient) -> None:
    answer = await chain.post("/link", json={"from_coord": "1", "to_coord": "99"})
    assert answer.status_code == 404
