from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import httpx
import pytest

from sfm_core import errors
from sfm_server.app import MemoryApp
from sfm_server.problems import all_errors, problem_response, status_of

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Case:
    """A request that must fail in a certain way."""

    name: str
    method: str
    path: str
    status: int
    code: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    at: str | None = None


CASES = [
    Case("no route", "GET", "/nope", 404, "no-such-route"),
    Case("method", "PUT", "/store", 405, "method-not-allowed"),
    Case("empty body", "POST", "/store", 400, "malformed-body"),
    Case("cut off", "POST", "/store", 400, "malformed-body", b'{"coord": "1'),
    Case("not UTF-8", "POST", "/store", 400, "malformed-body", b'{"coord": "\xff"}'),
    Case("not an object", "POST", "/store", 422, "invalid-request", b"[]", at=""),
    Case("field missing", "POST", "/store", 422, "invalid-request", b'{"coord":"1"}', at="payload"),
    Case(
        "field unknown",
        "POST",
        "/recall",
        422,
        "invalid-request",
        b'{"query":"a","filter":{}}',
        at="filter",
    ),
    Case("type of field", "POST", "/recall", 422, "invalid-request", b'{"query":3}', at="query"),
    Case(
        "form of a coordinate",
        "POST",
        "/delete_many",
        422,
        "invalid-request",
        b'{"coords":["1",{}]}',
        at="coords[1]",
    ),
    Case("query missing", "GET", "/neighbors", 422, "invalid-request", at="coord"),
    Case("query type", "GET", "/range?min=1&max=2&limit=x", 422, "invalid-request", at="limit"),
    Case("coordinate in path", "GET", "/memories/a,b", 400, "invalid-coordinate", at="coord"),
    Case("coordinate in query", "GET", "/range?min=1&max=z", 400, "invalid-coordinate", at="max"),
    Case("coordinate lengths", "GET", "/range?min=1&max=1,2", 400, "invalid-coordinate"),
    Case(
        "coordinate in body",
        "POST",
        "/link",
        400,
        "invalid-coordinate",
        b'{"from_coord":"1","to_coord":"nan"}',
        at="to_coord",
    ),
    Case("no memory", "GET", "/memories/9", 404, "not-found"),
    Case("no history", "GET", "/memories/9/history", 404, "not-found"),
    Case("nothing to delete", "DELETE", "/memories/9", 404, "not-found"),
    Case("nothing to weigh", "PATCH", "/memories/9", 404, "not-found", b'{"importance":1}'),
    Case("no end of a path", "GET", "/shortest_path?frm=8&to=9", 404, "not-found"),
    Case(
        "version",
        "POST",
        "/store",
        409,
        "version-conflict",
        b'{"coord":"1","payload":{},"expected_version":7}',
    ),
    Case(
        "media type",
        "POST",
        "/store",
        415,
        "unsupported-media-type",
        b"coord=1",
        {"Content-Type": "application/x-www-form-urlencoded"},
    ),
    Case(
        "media type of an import",
        "POST",
        "/import_memories",
        415,
        "unsupported-media-type",
        b"a",
        {"Content-Type": "image/png"},
    ),
    Case(
        "packed body",
        "POST",
        "/store",
        415,
        "unsupported-media-type",
        b"{}",
        {"Content-Encoding": "gzip"},
    ),
    Case("slash at the end", "POST", "/store/", 404, "no-such-route", b"{}"),
    Case("namespace of an export", "GET", "/export_memories?namespaces=", 422, "invalid-input"),
    Case("filter", "POST", "/recall", 422, "invalid-filter", b'{"query":"a","filters":{"$x":1}}'),
    Case("empty query", "POST", "/recall", 422, "invalid-input", b'{"query":" "}', at="query"),
    Case("top_k", "POST", "/recall", 422, "limit-exceeded", b'{"query":"a","top_k":99999}'),
    Case(
        "namespace",
        "POST",
        "/recall",
        422,
        "invalid-input",
        b'{"query":"a","namespace":"a\\u0000"}',
        at="namespace",
    ),
    Case(
        "namespace header",
        "GET",
        "/stats",
        422,
        "invalid-input",
        headers={"X-SFM-Namespace": "\xff"},
        at="X-SFM-Namespace",
    ),
    Case(
        "paths are switched off",
        "POST",
        "/export_memories",
        403,
        "forbidden-path",
        b'{"path":"a"}',
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_failure_has_the_one_shape(api: httpx.AsyncClient, case: Case) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in case.headers.items()]
    answer = await api.request(case.method, case.path, content=case.body, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (case.status, f"urn:sfm:error:{case.code}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == case.status
    assert problem["instance"] == case.path.partition("?")[0]
    assert problem["title"]
    assert problem["detail"]
    assert isinstance(problem["retryable"], bool)
    if case.at is not None:
        assert problem["field"] == case.at


@pytest.fixture
async def broken(app: MemoryApp) -> AsyncGenerator[httpx.AsyncClient]:
    @app.get("/broken")
    async def fail() -> None:
        raise RuntimeError("a secret of the source code")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://sfm") as client:
        yield client


async def test_a_fault_shows_nothing_of_its_inside(broken: httpx.AsyncClient) -> None:
    answer = await broken.get("/broken")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:sfm:error:internal")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.__name__)
def test_every_error_of_the_project_has_an_answer(error: type[errors.SfmError]) -> None:
    assert 400 <= status_of(error).value < 600


def test_a_backend_that_is_down_is_named_and_worth_another_try() -> None:
    error = errors.BackendUnavailableError("No answer.", backend="sqlite", remedy="Wait.")
    response = problem_response(error, "/store")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert b'"backend":"sqlite"' in response.body


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/memories/1", "DELETE, GET, PATCH, PUT"),
        ("/export_memories", "GET, POST"),
        ("/store", "POST"),
    ],
)
async def test_a_method_that_is_not_known_is_answered_with_those_that_are(
    api: httpx.AsyncClient, path: str, methods: str
) -> None:
    answer = await api.request("OPTIONS", path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, methods)
