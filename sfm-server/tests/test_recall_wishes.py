"""Recalls over HTTP that must be in time, or that ask for reasons."""

from __future__ import annotations

import time

import httpx
import pytest

ENDPOINTS = [
    ("/recall", {"query": "whale"}),
    ("/recall_with_scores", {"query": "whale"}),
    ("/recall_with_context", {"query": "whale", "context": "the sea"}),
]


@pytest.fixture
async def whale(api: httpx.AsyncClient) -> httpx.AsyncClient:
    body = {"coord": "1", "payload": {"text": "a whale in the bay", "year": 1999}}
    assert (await api.post("/store", json=body)).is_success
    return api


@pytest.mark.parametrize(
    ("path", "body"), [*ENDPOINTS, ("/recall_batch", {"queries": ["whale", "fox"]})]
)
async def test_an_answer_in_time_says_that_nothing_was_left_out(
    whale: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    answer = await whale.post(path, json={**body, "deadline_ms": 20_000})
    assert answer.json()["left_out"] == {}
    assert "a whale in the bay" in answer.text


async def test_a_deadline_holds_for_the_writes_that_are_waited_for_too(
    whale: httpx.AsyncClient,
) -> None:
    stored = await whale.post("/store", json={"coord": "2", "payload": {"text": "a fox"}})
    body = {"query": "fox", "deadline_ms": 30_000, "min_position": stored.json()["position"]}
    begun = time.monotonic()
    answer = (await whale.post("/recall", json=body)).json()
    assert time.monotonic() - begun < 30
    assert (answer["stale"], answer["left_out"]) == (False, {})


@pytest.mark.parametrize("body", [{"query": "whale"}, {"queries": ["whale", "fox"]}])
async def test_where_no_search_is_done_in_time_the_answer_says_so(
    whale: httpx.AsyncClient, body: dict[str, object]
) -> None:
    path = "/recall_batch" if "queries" in body else "/recall"
    answers = [await whale.post(path, json={**body, "deadline_ms": 1}) for _ in range(20)]
    late = [one.json()["type"] for one in answers if not one.is_success]
    assert {one.status_code for one in answers} <= {200, 503}
    assert set(late) <= {"urn:sfm:error:deadline-exceeded"}


@pytest.mark.parametrize("wish", [{}, {"deadline_ms": 3000}])
async def test_too_many_queries_are_refused_with_a_deadline_as_without_one(
    whale: httpx.AsyncClient, wish: dict[str, object]
) -> None:
    answer = await whale.post("/recall_batch", json={"queries": ["whale"] * 1001, **wish})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:sfm:error:limit-exceeded"


@pytest.mark.parametrize("deadline", [0, -1, 1.5, "1", 10**9])
async def test_a_deadline_that_is_none_is_refused(
    whale: httpx.AsyncClient, deadline: object
) -> None:
    answer = await whale.post("/recall", json={"query": "whale", "deadline_ms": deadline})
    assert answer.status_code == 422
    assert answer.json()["field"] == "deadline_ms"


async def test_recall_explains_when_asked(whale: httpx.AsyncClient) -> None:
    answer = (await whale.post("/recall", json={"query": "whale", "explain": True})).json()
    [explained] = answer["explained"]
    assert explained["coord"] == "1"
    assert {"relevance", "recency", "importance"} <= explained["parts"].keys()
    assert answer["matches"] == [explained["payload"]]


@pytest.mark.parametrize(("path", "body"), ENDPOINTS)
async def test_the_reason_is_told_when_asked(
    whale: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    asked = {**body, "why_not": "1", "filters": {"year": {"$gt": 2000}}}
    told = (await whale.post(path, json=asked)).json()["why_not"]
    assert (told["coord"], told["reason"]) == ("1", "filter")
    assert told["condition"] == {"year": {"$gt": 2000}}


async def test_what_is_an_answer_has_its_place(whale: httpx.AsyncClient) -> None:
    body = {"query": "whale", "why_not": [1]}
    told = (await whale.post("/recall", json=body)).json()["why_not"]
    assert (told["reason"], told["place"], told["version"]) == ("returned", 1, 1)


async def test_a_malformed_coordinate_is_named(whale: httpx.AsyncClient) -> None:
    answer = await whale.post("/recall", json={"query": "whale", "why_not": "x"})
    assert (answer.status_code, answer.json()["field"]) == (400, "why_not")


async def test_reasons_take_their_time(whale: httpx.AsyncClient) -> None:
    body = {"query": "whale", "why_not": "1", "deadline_ms": 1000}
    answer = await whale.post("/recall", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "why_not")


@pytest.mark.parametrize(("path", "body"), [*ENDPOINTS, ("/recall_batch", {"queries": ["whale"]})])
async def test_a_recall_tells_what_was_there_then(
    whale: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    then = (await whale.get("/memories/1")).json()["updated_at"]
    later = {"coord": "1", "payload": {"text": "the whale has left"}}
    assert (await whale.post("/store", json=later)).is_success
    answer = await whale.post(path, json={**body, "as_of": then})
    assert "a whale in the bay" in answer.text
    assert "has left" not in answer.text


async def test_a_time_that_is_none_is_named(whale: httpx.AsyncClient) -> None:
    answer = await whale.post("/recall", json={"query": "whale", "as_of": "yesterday"})
    assert (answer.status_code, answer.json()["field"]) == (422, "as_of")
