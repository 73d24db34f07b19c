"""What a query says is heeded or refused, never passed over."""

from __future__ import annotations

import httpx
import pytest
from valid_requests import BODIES, PARAMETERS

from sfm_server.access.endpoints import RULES
from sfm_server.access.rules import Where

ABOUT_NONE = {path for (_, path), rule in RULES.items() if rule.where is Where.NOWHERE}
ENDPOINTS = sorted(key for key in RULES if key[1] not in ABOUT_NONE)


def is_refused(answer: httpx.Response, field: str) -> bool:
    return (answer.status_code, answer.json().get("field")) == (422, field)


async def payloads(api: httpx.AsyncClient, namespace: str) -> list[object]:
    listed = await api.get("/memories", params={"namespace": namespace})
    return [one["payload"] for one in listed.json()["memories"]]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_what_an_endpoint_does_not_know_is_refused(
    api: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await api.request(
        method,
        path.format(coord="1", name="x"),
        params=PARAMETERS.get((method, path), {}) | {"dry-run": "true"},
        json=BODIES.get((method, path)),
    )
    assert is_refused(answer, "dry-run")
    assert await payloads(api, "default") == []


async def test_a_refusal_tells_what_is_known(api: httpx.AsyncClient) -> None:
    problem = (await api.get("/memories", params={"lmit": "5"})).json()
    assert problem["field"] == "lmit"
    assert "cursor, limit, namespace, type" in problem["remedy"]


async def test_probes_take_what_others_add(api: httpx.AsyncClient) -> None:
    for path in ("/", "/health", "/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert (await api.get(path, params={"_": "1"})).status_code in {200, 503}


async def test_a_namespace_in_the_query_is_where_a_body_goes(api: httpx.AsyncClient) -> None:
    there = {"namespace": "there"}
    await api.put("/memories/1", params=there, json={"payload": {"n": 1}})
    await api.post("/store", params=there, json={"coord": "2", "payload": {"n": 2}})
    await api.patch("/memories/2", params=there, json={"payload": {"m": 3}})
    assert await payloads(api, "there") == [{"n": 1}, {"n": 2, "m": 3}]
    assert await payloads(api, "default") == []


async def test_two_namespaces_are_refused(api: httpx.AsyncClient) -> None:
    body: dict[str, object] = {"namespace": "here", "coord": "1", "payload": {}}
    answer = await api.post("/store", params={"namespace": "there"}, json=body)
    assert is_refused(answer, "namespace")


async def test_what_deletes_is_not_told_to_only_count_in_the_query(api: httpx.AsyncClient) -> None:
    await api.post("/store", json={"coord": "1", "payload": {"n": 1}})
    body = {"filters": {"n": 1}}
    answer = await api.post("/delete_many", params={"dry_run": "true"}, json=body)
    assert is_refused(answer, "dry_run")
    assert await payloads(api, "default") == [{"n": 1}]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/export_memories"), ("POST", "/rebuild"), ("GET", "/collections")]
)
async def test_what_is_about_all_namespaces_takes_none(
    api: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await api.request(method, path, params={"namespace": "mine"})
    assert is_refused(answer, "namespace")


async def test_what_is_said_twice_where_one_is_meant_is_refused(api: httpx.AsyncClient) -> None:
    await api.post("/store", json={"coord": "1", "payload": {}})
    twice = {"expected_version": ["7", "1"]}
    assert is_refused(await api.delete("/memories/1", params=twice), "expected_version")
    assert (await api.get("/memories/1")).is_success


async def test_a_list_says_more_than_one(api: httpx.AsyncClient) -> None:
    both = {"namespaces": ["a", "b"]}
    assert (await api.get("/export_memories", params=both)).is_success


async def test_two_headers_that_name_a_namespace_are_refused(api: httpx.AsyncClient) -> None:
    header = ("X-SFM-Namespace", "mine")
    body: dict[str, object] = {"coord": "1", "payload": {}}
    answer = await api.post("/store", json=body, headers=[header, ("X-SFM-Namespace", "theirs")])
    assert is_refused(answer, "X-SFM-Namespace")
    assert await payloads(api, "mine") == await payloads(api, "theirs") == []
