"""A page of another origin gets nothing from a server that asks for no token."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from sfm_server.app import create_app
from sfm_server.settings import Settings

URL = "http://127.0.0.1:9595"
ELSEWHERE = "https://evil.example"
BODY = b'{"coord": "1", "payload": {}}'


async def ask(
    settings: Settings, method: str = "POST", path: str = "/store", **headers: str
) -> httpx.Response:
    app = create_app(settings)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client,
    ):
        content = BODY if method == "POST" else None
        return await client.request(method, path, content=content, headers=sent)


def is_refused(answer: httpx.Response) -> bool:
    problem = answer.json()
    return (answer.status_code, problem.get("type")) == (403, "urn:sfm:error:foreign-origin")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ELSEWHERE},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
@pytest.mark.parametrize("kind", ["", "application/json", "text/plain"])
async def test_it_cannot_write(settings: Settings, headers: dict[str, str], kind: str) -> None:
    assert is_refused(await ask(settings, Content_Type=kind, **headers))


@pytest.mark.parametrize("path", ["/import_memories", "/rebuild", "/delete_many"])
async def test_it_cannot_write_by_any_endpoint(settings: Settings, path: str) -> None:
    assert is_refused(await ask(settings, path=path, Origin=ELSEWHERE, Content_Type="text/plain"))


@pytest.mark.parametrize("path", ["/memories", "/", "/docs", "/export_memories"])
async def test_it_cannot_read_by_a_name_that_points_here(settings: Settings, path: str) -> None:
    assert is_refused(await ask(settings, "GET", path, Host="evil.example:9595"))


@pytest.mark.parametrize(
    "host", ["localhost:9595", "127.0.0.1", "[::1]:9595", "api:9595", "x.localhost", "10.0.0.7:80"]
)
async def test_names_that_nobody_else_can_have_are_ours(settings: Settings, host: str) -> None:
    assert (await ask(settings, "GET", "/memories", Host=host)).status_code == 200


async def test_a_page_of_the_server_s_own_may_write(settings: Settings) -> None:
    answer = await ask(settings, Origin=URL, Sec_Fetch_Site="same-origin")
    assert answer.status_code == 200


async def test_an_origin_that_is_named_may_write(settings: Settings) -> None:
    shared = settings.model_copy(update={"cors_origins": (ELSEWHERE,)})
    assert (await ask(shared, Origin=ELSEWHERE)).status_code == 200


@pytest.mark.parametrize("allowed", ["memory.example", "*"])
async def test_a_host_that_is_named_is_ours(settings: Settings, allowed: str) -> None:
    named = settings.model_copy(update={"allowed_hosts": (allowed,)})
    assert (await ask(named, "GET", "/memories", Host="memory.example")).status_code == 200


async def test_who_listens_elsewhere_may_have_any_name(settings: Settings) -> None:
    reachable = settings.model_copy(update={"host": "0.0.0.0"})  # noqa: S104 - not bound here
    assert (await ask(reachable, "GET", "/memories", Host="memory.example")).status_code == 200


async def test_where_a_token_is_needed_it_is_what_counts(settings: Settings) -> None:
    closed = settings.model_copy(update={"api_token": SecretStr("s3cret")})
    answer = await ask(closed, Origin=ELSEWHERE, Authorization="Bearer s3cret", Host="m.example")
    assert answer.status_code == 200


async def test_probes_are_answered_by_any_name(settings: Settings) -> None:
    assert (await ask(settings, "GET", "/healthz", Host="evil.example")).status_code == 200
