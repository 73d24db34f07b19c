from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from sfm_server.app import create_app
from sfm_server.settings import Settings

HERE = "https://app.example"
ELSEWHERE = "https://evil.example"


async def ask(settings: Settings, method: str, path: str, **headers: str) -> httpx.Response:
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://sfm") as client,
    ):
        return await client.request(method, path, headers=names)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(memory_mode="test", data_folder=tmp_path, api_token=SecretStr("s3cret"))


@pytest.fixture
def shared(settings: Settings) -> Settings:
    return settings.model_copy(update={"cors_origins": (HERE,)})


async def test_no_origin_is_allowed_unless_it_is_named(settings: Settings) -> None:
    answer = await ask(settings, "GET", "/", Origin=ELSEWHERE)
    assert "access-control-allow-origin" not in answer.headers
    preflight = await ask(
        settings, "OPTIONS", "/store", Origin=ELSEWHERE, Access_Control_Request_Method="POST"
    )
    assert not preflight.is_success


async def test_an_origin_that_is_named_may_ask_before_it_has_a_token(shared: Settings) -> None:
    preflight = await ask(
        shared,
        "OPTIONS",
        "/store",
        Origin=HERE,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,content-type,x-sfm-namespace",
    )
    assert preflight.is_success
    assert preflight.headers["access-control-allow-origin"] == HERE
    assert "access-control-allow-credentials" not in preflight.headers


async def test_a_refusal_can_be_read_by_the_page_that_is_refused(shared: Settings) -> None:
    answer = await ask(shared, "GET", "/stats", Origin=HERE)
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == HERE


async def test_another_origin_is_not_allowed_beside_it(shared: Settings) -> None:
    answer = await ask(shared, "GET", "/", Origin=ELSEWHERE)
    assert answer.headers.get("access-control-allow-origin") != ELSEWHERE


@pytest.mark.parametrize("path", ["/", "/stats", "/no-such-thing", "/docs"])
async def test_every_answer_tells_browsers_to_keep_their_hands_off(
    settings: Settings, path: str
) -> None:
    headers = (await ask(settings, "GET", path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_documentation_loads_nothing_from_elsewhere(settings: Settings) -> None:
    page = await ask(settings, "GET", "/docs")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 3
    for path in loaded:
        file = await ask(settings, "GET", f"/{path}")
        assert file.is_success
        assert file.content
    assert "http" not in page.text
