from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from tenant_tokens import grant, issue

from sfm_core.errors import BackendUnavailableError
from sfm_core.hookspecs import hookimpl
from sfm_core.inprocess.vector import InProcessVectorStore, VectorState
from sfm_core.protocols.vector import Collection, SearchResult, VectorQuery, VectorStore
from sfm_core.registry import BackendContext, Register
from sfm_server.app import create_app
from sfm_server.auth import OPEN_PATHS
from sfm_server.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(memory_mode="test", data_folder=tmp_path, api_token=SecretStr("s3cret"))


@pytest.mark.parametrize("value", ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"])
async def test_the_token_opens_the_door(api: httpx.AsyncClient, value: str) -> None:
    answer = await api.get("/stats", headers={"Authorization": value})
    assert answer.status_code == 200


INVALID = 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, "Bearer"),
        ({"Authorization": "Bearer wrong"}, INVALID),
        ({"Authorization": "Bearer s3cret2"}, INVALID),
        ({"Authorization": "Basic s3cret"}, INVALID),
        ({"Authorization": "s3cret"}, INVALID),
        ({"Authorization": ""}, INVALID),
        ({"Authorization": "Bearer "}, INVALID),
        ({"Authorization": b"Bearer \xff\xfe"}, INVALID),
    ],
)
async def test_without_the_token_the_door_stays_shut(
    api: httpx.AsyncClient, headers: dict[str, str | bytes], challenge: str
) -> None:
    answer = await api.get("/stats", headers=headers)  # type: ignore[arg-type]  # as it is sent
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:sfm:error:unauthorized")
    assert answer.headers["www-authenticate"] == challenge


async def test_two_tokens_are_none(api: httpx.AsyncClient) -> None:
    header = ("Authorization", "Bearer s3cret")
    assert (await api.get("/stats", headers=[header, header])).status_code == 401


@pytest.mark.parametrize(("token", "status"), [("s3cret", 200), ("wrong", 401)])
async def test_metrics_know_the_route_behind_the_door(
    api: httpx.AsyncClient, token: str, status: int
) -> None:
    await api.get("/stats", headers={"Authorization": f"Bearer {token}"})
    figure = f'{{method="GET",route="/stats",status="{status}"}} 1.0'
    assert figure in (await api.get("/metrics")).text


async def test_an_unknown_path_needs_the_token_too(api: httpx.AsyncClient) -> None:
    assert (await api.get("/nope")).status_code == 401


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
async def test_probes_and_documentation_need_no_token(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.get(path)).status_code == 200


async def test_the_document_says_which_endpoints_need_the_token(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    assert document["paths"]["/store"]["post"]["security"] == [{"token": []}]
    assert "security" not in document["paths"]["/healthz"]["get"]


async def test_a_server_without_a_token_says_so_at_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(Settings(memory_mode="test", data_folder=tmp_path))
    async with app.router.lifespan_context(app):
        assert "SOMA_API_TOKEN is not set" in caplog.text


class _BrokenVectors:
    """A plugin whose vector store opens, and answers no ping."""

    @hookimpl
    def sfm_register_vector_stores(self, register: Register[VectorStore]) -> None:
        register("broken", _make_broken, summary="Broken.")


class _Broken(InProcessVectorStore):
    async def ping(self) -> None:
        raise _unreachable()

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        del collection, queries
        raise _unreachable()


def _unreachable() -> BackendUnavailableError:
    return BackendUnavailableError("No answer from host-behind-the-wall.", backend="broken")


def _make_broken(url: str, context: BackendContext) -> VectorStore:
    del url, context
    return _Broken(state=VectorState())


async def test_only_who_looks_after_the_server_is_told_what_a_backend_says(
    settings: Settings, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens.json"
    tenant = issue(tokens, "tenant", grant("admin", "default"))
    root = {"Authorization": "Bearer s3cret"}
    chosen = {"vector_url": "broken:", "tokens_file": tokens}
    app = create_app(settings.model_copy(update=chosen), extra_plugins={"broken": _BrokenVectors()})
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://sfm") as client,
    ):
        answers = [
            await client.post("/recall", json={"query": "x"}, headers=one) for one in (tenant, root)
        ]
    assert [one.status_code for one in answers] == [503, 503]
    assert ["host-behind-the-wall" in one.text for one in answers] == [False, True]


@pytest.mark.parametrize(
    ("headers", "told"), [({}, False), ({"Authorization": "Bearer s3cret"}, True)]
)
async def test_only_who_has_the_token_sees_why_a_backend_is_down(
    settings: Settings, headers: dict[str, str], *, told: bool
) -> None:
    app = create_app(
        settings.model_copy(update={"vector_url": "broken:"}),
        extra_plugins={"broken": _BrokenVectors()},
    )
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://sfm") as client,
    ):
        answer = await client.get("/health", headers=headers)
    flags = answer.json()
    assert (answer.status_code, flags["vector_store"], flags["kv_store"]) == (503, False, True)
    assert ("host-behind-the-wall" in answer.text) is told
