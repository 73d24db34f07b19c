from __future__ import annotations

import json

import httpx
import pytest

JSON = {"Content-Type": "application/json"}


def stored(payload: bytes) -> bytes:
    return b'{"coord":"1","payload":' + payload + b"}"


HOSTILE = {
    "NaN": stored(b'{"a":NaN}'),
    "infinity": stored(b'{"a":-Infinity}'),
    "number out of range": stored(b'{"a":1e999}'),
    "integer of 5,000 digits": stored(b'{"a":' + b"9" * 5000 + b"}"),
    "integer beyond 64 bits": stored(b'{"a":' + b"9" * 30 + b"}"),
    "integer as version": b'{"coord":"1","payload":{},"expected_version":' + b"9" * 400 + b"}",
    "integer as coordinate": b'{"coord":[' + b"9" * 400 + b'],"payload":{}}',
    "importance beyond range": b'{"coord":"1","payload":{},"importance":1e308}',
    "time to live of ages": b'{"coord":"1","payload":{},"ttl_seconds":1e308}',
    "10 MB of text": stored(b'{"a":"' + b"x" * 10_000_000 + b'"}'),
    "30 MB of text": stored(b'{"a":"' + b"x" * 30_000_000 + b'"}'),
    "10,000 arrays": stored(b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
    "10,000 objects": stored(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "100 arrays": stored(b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"),
    "half a surrogate pair": stored(b'{"a":"\\ud800"}'),
    "half a surrogate pair as key": stored(b'{"\\udfff":1}'),
    "invalid UTF-8": stored(b'{"a":"\xc3\x28"}'),
    "cut off": stored(b'{"a":1}')[:-3],
    "text after the end": stored(b'{"a":1}') + b"}",
    "payload as array": stored(b"[1]"),
    "payload as null": stored(b"null"),
    "coordinate as object": b'{"coord":{},"payload":{}}',
    "coordinate as boolean": b'{"coord":[true],"payload":{}}',
    "coordinate with NaN": b'{"coord":"nan","payload":{}}',
    "coordinate with infinity": b'{"coord":"1e400","payload":{}}',
    "coordinate of 10,000 numbers": b'{"coord":"' + b"1," * 10_000 + b'1","payload":{}}',
    "type as number": b'{"coord":"1","payload":{},"type":1}',
    "only a byte order mark": b"\xef\xbb\xbf",
    "UTF-16": stored(b'{"a":1}').decode().encode("utf-16"),
    "zero bytes": b"\0" * 100,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_body_is_refused_and_nothing_is_stored(
    api: httpx.AsyncClient, body: bytes
) -> None:
    answer = await api.post("/store", content=body, headers=JSON)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await api.get("/stats")).json()["total_memories"] == 0


STRANGE = {
    "null character": {"a": "b\0c", "d\0": 1},
    "all planes": {"\U0001f600": "\u202e\ufeff\U0010ffff"},
    "integers of 64 bits": {"a": 2**63 - 1, "b": -(2**63)},
    "empty": {},
    "empty key": {"": ""},
    "keys of operators": {"$and": 1, "a.b": 2, "__proto__": 3},
    "30 levels": json.loads('{"a":' * 30 + "1" + "}" * 30),
}


@pytest.mark.smoke
@pytest.mark.parametrize("payload", STRANGE.values(), ids=STRANGE.keys())
async def test_a_strange_payload_comes_back_unchanged(
    api: httpx.AsyncClient, payload: dict[str, object]
) -> None:
    answer = await api.post("/store", json={"coord": "1", "payload": payload})
    assert answer.status_code == 200
    assert (await api.get("/memories/1")).json()["payload"] == payload


@pytest.mark.parametrize(
    "query",
    ["\0", "\U0001f600" * 100, "a" * 100_000, '" OR 1=1 --', "$eq", "\u202e", "the of and"],
)
async def test_a_strange_query_is_answered_or_refused(api: httpx.AsyncClient, query: str) -> None:
    await api.post("/store", json={"coord": "1", "payload": {"text": "the of and"}})
    answer = await api.post("/recall", json={"query": query})
    assert answer.status_code in {200, 422}


@pytest.mark.parametrize(
    "path",
    [
        "/memories/%00",
        "/memories/%FF",
        "/memories/" + "1," * 5000,
        "/memories/..%2f..%2fetc",
        "/neighbors?coord=%ED%A0%80",
        "/stats?namespace=%00",
        "/range?min=1&max=2&limit=99999999999999999999999",
        "/memories/1?expected_version=-1",
        "/export_memories?namespaces=%FF",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_strange_path_is_no_fault_of_the_server(
    api: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await api.request(method, path)
    assert answer.status_code < 500


async def test_a_filter_of_10_000_levels_is_refused(api: httpx.AsyncClient) -> None:
    body = b'{"query":"a","filters":' + b'{"$not":' * 500 + b'{"a":1}' + b"}" * 501
    answer = await api.post("/recall", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sfm:error:invalid-filter")


async def test_a_line_of_an_import_is_bounded(api: httpx.AsyncClient) -> None:
    answer = await api.post(
        "/import_memories",
        content=b"x" * 21_000_000,
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status_code == 413


async def test_a_context_of_very_many_values_takes_no_longer_than_to_read_it(
    api: httpx.AsyncClient,
) -> None:
    body = b'{"query":"a","context":{"a":[' + b'"",' * 3_000_000 + b'""]}}'
    answer = await api.post("/recall_with_context", content=body, headers=JSON)
    assert answer.json()["type"] == "urn:sfm:error:limit-exceeded"
