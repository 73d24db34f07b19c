from __future__ import annotations

import httpx
import pytest

FACTS = [
    {"text": "Anna moved to Oslo in spring.", "topic": "people"},
    {"text": "Bread needs flour, water and salt.", "topic": "food"},
    {"text": "The train to Bergen leaves at nine.", "topic": "travel"},
]


@pytest.fixture
async def facts(api: httpx.AsyncClient) -> httpx.AsyncClient:
    items = [{"coord": str(place), "payload": fact} for place, fact in enumerate(FACTS)]
    await api.post("/store_bulk", json={"items": items})
    return api


async def test_recall_answers_with_payloads_best_first(facts: httpx.AsyncClient) -> None:
    answer = await facts.post("/recall", json={"query": "Where did Anna move?"})
    assert answer.json()["matches"][0] == FACTS[0]


async def test_recall_returns_at_most_top_k(facts: httpx.AsyncClient) -> None:
    answer = await facts.post("/recall", json={"query": "Anna bread train", "top_k": 2})
    assert len(answer.json()["matches"]) == 2


async def test_recall_keeps_to_its_filters(facts: httpx.AsyncClient) -> None:
    body = {"query": "Where did Anna move?", "filters": {"topic": {"$in": ["food"]}}}
    answer = await facts.post("/recall", json=body)
    assert answer.json()["matches"] == [FACTS[1]]


async def test_recall_keeps_to_its_type(facts: httpx.AsyncClient) -> None:
    answer = await facts.post("/recall", json={"query": "Anna", "type": "semantic"})
    assert answer.json()["matches"] == []


async def test_recall_batch_answers_each_query_in_order(facts: httpx.AsyncClient) -> None:
    body = {"queries": ["flour and water", "train to Bergen"], "top_k": 1}
    answer = await facts.post("/recall_batch", json=body)
    assert answer.json()["batches"] == [[FACTS[1]], [FACTS[2]]]


async def test_scores_lie_between_0_and_1_and_fall(facts: httpx.AsyncClient) -> None:
    answer = await facts.post("/recall_with_scores", json={"query": "Anna in Oslo"})
    scores = [found["score"] for found in answer.json()["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize("explain", [True, False])
async def test_parts_are_told_when_asked_for(facts: httpx.AsyncClient, *, explain: bool) -> None:
    body = {"query": "Anna", "explain": explain}
    found = (await facts.post("/recall_with_scores", json=body)).json()["results"][0]
    assert bool(found["parts"]) is explain


@pytest.mark.parametrize("context", ["travel by train", {"plan": ["train", 9, None]}])
async def test_recall_takes_context(facts: httpx.AsyncClient, context: object) -> None:
    body = {"query": "When does it leave?", "context": context}
    answer = await facts.post("/recall_with_context", json=body)
    assert answer.json()["results"][0]["payload"] == FACTS[2]


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
async def test_each_search_can_be_used_alone(facts: httpx.AsyncClient, mode: str) -> None:
    answer = await facts.post("/recall", json={"query": "flour and salt", "mode": mode})
    assert answer.json()["matches"][0] == FACTS[1]


async def test_an_unknown_operator_is_an_error(facts: httpx.AsyncClient) -> None:
    answer = await facts.post("/recall", json={"query": "x", "filters": {"a": {"$like": "b"}}})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sfm:error:invalid-filter")
