from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from sfm_server.packing import split_lines
from sfm_server.problems import BodyTooLargeError
from sfm_server.settings import Settings

JSON = {"Content-Type": "application/json"}
BODY = b'{"coord":"1","payload":{"a":"' + b"x" * 3000 + b'"}}'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        memory_mode="test",
        data_folder=tmp_path,
        max_body_bytes=2000,
        max_payload_bytes=1000,
        max_batch=3,
        max_top_k=10,
        max_answer_bytes=1500,
    )


async def chunks(*parts: bytes) -> AsyncGenerator[bytes]:
    for part in parts:
        yield part


async def test_a_declared_length_over_the_limit_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post("/store", content=BODY, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:sfm:error:body-too-large")


async def test_an_undeclared_length_is_counted_while_it_arrives(api: httpx.AsyncClient) -> None:
    answer = await api.post("/store", content=chunks(BODY[:1500], BODY[1500:]), headers=JSON)
    assert answer.status_code == 413


async def test_a_payload_over_the_limit_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post("/store", json={"coord": "1", "payload": {"a": "x" * 1500}})
    assert (answer.status_code, answer.json()["field"]) == (422, "payload")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/store_bulk", {"items": [{"coord": one, "payload": {"a": 1}} for one in "1234"]}),
        ("/delete_many", {"coords": list("1234")}),
        ("/recall_batch", {"queries": ["a"] * 4}),
        ("/recall", {"query": "a", "top_k": 11}),
    ],
)
async def test_a_batch_over_the_limit_is_refused(
    api: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    answer = await api.post(path, json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sfm:error:limit-exceeded")


async def test_an_answer_over_the_limit_is_refused_or_ends_its_page(api: httpx.AsyncClient) -> None:
    for coord in "123":
        memory = {"coord": coord, "payload": {"text": "whale " * 100}}
        assert (await api.post("/store", json=memory)).is_success
    answer = await api.post("/recall_batch", json={"queries": ["whale"], "top_k": 3})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sfm:error:limit-exceeded")
    page = (await api.get("/memories")).json()
    rest = (await api.get("/memories", params={"cursor": page["next_cursor"]})).json()
    assert [len(one["memories"]) for one in (page, rest)] == [2, 1]
    assert "next_cursor" not in rest


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/store_bulk", {"items": [None] * 4}),
        ("/delete_many", {"coords": [None] * 4}),
        ("/recall_batch", {"queries": [None] * 4}),
        ("/store", {"coord": [None] * 4, "payload": {}}),
    ],
)
async def test_a_list_is_measured_before_its_elements_are_looked_at(
    api: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    problem = (await api.post(path, json=body)).json()
    assert problem["type"] == "urn:sfm:error:limit-exceeded"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/store_bulk", {"items": [{"coord": "1"}] * 3}, "items[0].payload"),
        ("/delete_many", {"coords": [None] * 3}, "coords[0]"),
        ("/recall_batch", {"queries": [None] * 3}, "queries[0]"),
    ],
)
async def test_a_list_is_refused_for_its_first_fault(
    api: httpx.AsyncClient, path: str, body: dict[str, object], field: str
) -> None:
    problem = (await api.post(path, json=body)).json()
    assert {one["field"] for one in problem["errors"]} == {field}


@pytest.mark.parametrize("where", ["", "episode"])
async def test_an_object_with_very_many_members_is_refused_at_once(
    api: httpx.AsyncClient, where: str
) -> None:
    many: dict[str, object] = {str(number): number for number in range(65)}
    sound: dict[str, object] = {"coord": "1", "payload": {}}
    body = sound | ({where: many} if where else many)
    [fault] = (await api.post("/store", json=body)).json()["errors"]
    assert fault == {"field": where, "message": "It has too many members"}


async def test_lines_are_whole_however_the_stream_is_cut() -> None:
    lines = [line async for line in split_lines(chunks(b"a", b"b\nc", b"", b"\n\nd"), limit=10)]
    assert lines == [b"ab", b"c", b"", b"d"]


async def test_a_line_over_the_limit_ends_the_stream() -> None:
    with pytest.raises(BodyTooLargeError):
        _ = [line async for line in split_lines(chunks(b"a\n", b"x" * 11), limit=10)]
