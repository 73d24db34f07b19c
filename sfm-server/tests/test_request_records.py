"""What is noted of each request: an id, a line in the log, and figures."""

from __future__ import annotations

import json
import logging
import re

import httpx
import pytest
from fix_serving import Serve

from sfm_server.observing.logs import JsonFormatter, TextFormatter

LOGGER = "sfm_server.observing.requests"


def figures(text: str, name: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if line.startswith(name)]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.mark.parametrize("given", ["abc-1", "A" * 128, "00:1/2+3=@._"])
async def test_an_id_that_is_given_is_answered(api: httpx.AsyncClient, given: str) -> None:
    answer = await api.get("/healthz", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "A" * 129, "-a", "a b", 'a"b', "a\tb", "ä"])
async def test_any_other_request_is_given_an_id(api: httpx.AsyncClient, given: str | None) -> None:
    headers = {} if given is None else {b"X-Request-ID": given.encode("latin-1")}
    one, other = [
        (await api.get("/healthz", headers=headers)).headers["x-request-id"] for _ in range(2)
    ]
    assert re.fullmatch("[0-9a-f]{32}", one)
    assert one != other


@pytest.mark.parametrize("path", ["/no/such/route", "/memories/x", "/memories/9,9"])
async def test_errors_have_an_id_too(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.get(path, headers={"X-Request-ID": "mine"})).headers["x-request-id"] == "mine"


async def test_each_request_has_one_line_without_what_it_is_about(
    api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    await api.get("/memories/7.25,8.5?namespace=secretive", headers={"X-SFM-Namespace": "hidden"})
    [record] = [one for one in caplog.records if one.name == LOGGER]
    assert vars(record)["route"] == "/memories/{coord}"
    assert vars(record)["status"] == 404
    assert vars(record)["method"] == "GET"
    assert 0 < vars(record)["duration_seconds"] < 30
    for word in ("7.25", "secretive", "hidden"):
        assert word not in record.getMessage()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_probes_have_no_line_at_level_info(
    api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await api.request(method, path)).is_success
    assert [one for one in caplog.records if one.name == LOGGER] == []


async def test_streams_are_no_long_requests(api: httpx.AsyncClient) -> None:
    await api.post("/store", json={"coord": "1", "payload": {"text": "a"}})
    exported = await api.get("/export_memories")
    assert exported.is_success
    await api.post("/import_memories", content=exported.content)
    text = (await api.get("/metrics")).text
    timed = figures(text, "sfm_http_request_seconds_count")
    assert any("/store" in name for name in timed)
    assert not any("export_memories" in name or "import_memories" in name for name in timed)
    assert figures(text, "sfm_http_stream_first_byte_seconds_count") == {
        'sfm_http_stream_first_byte_seconds_count{method="GET",route="/export_memories"}': 1
    }
    assert set(figures(text, "sfm_http_streams_open").values()) == {0}


async def test_the_work_of_the_engine_is_measured(api: httpx.AsyncClient) -> None:
    await api.post("/store", json={"coord": "1", "payload": {"text": "a whale"}})
    await api.post("/recall", json={"query": "whale"})
    await api.get("/memories/9")
    text = (await api.get("/metrics")).text
    for figure in (
        'sfm_operation_seconds_count{operation="store"} 1.0',
        'sfm_operation_errors_total{code="not-found",operation="get"} 1.0',
        'sfm_batch_size_count{work="recall"} 1.0',
        'sfm_port_call_seconds_count{method="search",port="vector"} 1.0',
    ):
        assert figure in text, figure


def record(message: str, **facts: object) -> logging.LogRecord:
    made = logging.LogRecord("a.logger", logging.WARNING, __file__, 1, message, (), None)
    vars(made).update(facts)
    return made


def test_a_json_line_is_one_object_in_one_line() -> None:
    line = JsonFormatter().format(
        record('two\nlines "quoted"', request_id="r", trace_id="", status=200)
    )
    assert "\n" not in line
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "warning",
        "logger": "a.logger",
        "message": 'two\nlines "quoted"',
        "request_id": "r",
        "status": 200,
    }


def test_a_text_line_is_one_line_whoever_chose_the_words() -> None:
    line = TextFormatter().format(record("forged\r\n2026 INFO", request_id="r", trace_id=""))
    assert "\n" not in line
    assert line.endswith("forged\\r\\n2026 INFO request_id=r")


def test_every_line_of_a_server_is_json_where_that_is_asked_for(serve: Serve) -> None:
    server = serve(SFM_LOG_FORMAT="json", MEMORY_MODE="test")
    httpx.get(f"{server.url}/stats", headers={"X-Request-ID": "mine"}, timeout=30)
    lines = [json.loads(line) for line in server.stop().splitlines()]
    assert {"uvicorn.error", LOGGER} <= {line["logger"] for line in lines}
    [request] = [line for line in lines if line.get("request_id") == "mine"]
    assert (request["route"], request["status"]) == ("/stats", 200)
