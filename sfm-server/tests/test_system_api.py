from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from faulty_plugin import FaultyPlugin
from pydantic import SecretStr

from sfm_core.errors import BackendUnavailableError
from sfm_core.hookspecs import hookimpl
from sfm_server.app import MemoryApp, create_app
from sfm_server.files import FileWorker
from sfm_server.lifespan import write_openapi
from sfm_server.settings import Settings


@asynccontextmanager
async def serving(app: MemoryApp) -> AsyncGenerator[httpx.AsyncClient]:
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sfm") as client,
    ):
        yield client


@pytest.fixture
def faults() -> FaultyPlugin:
    return FaultyPlugin()


@pytest.fixture
async def fragile(tmp_path: Path, faults: FaultyPlugin) -> AsyncGenerator[httpx.AsyncClient]:
    """The API on backends that fail as `faults` says."""
    settings = Settings(
        memory_mode="test",
        data_folder=tmp_path,
        kv_url="faulty:",
        vector_url="faulty:",
        embedder_url="faulty:",
    )
    async with serving(create_app(settings, extra_plugins={"faulty": faults})) as client:
        yield client


@pytest.fixture
def files() -> Generator[FileWorker]:
    worker = FileWorker()
    yield worker
    worker.close()


async def test_the_root_says_what_this_is(api: httpx.AsyncClient) -> None:
    answer = (await api.get("/")).json()
    assert (answer["name"], answer["mode"]) == ("SomaFractalMemory", "test")


async def test_stats_count_by_type(api: httpx.AsyncClient) -> None:
    await api.post("/store", json={"coord": "1", "payload": {}})
    await api.post("/store", json={"coord": "2", "payload": {}, "type": "semantic"})
    answer = (await api.get("/stats")).json()
    assert (answer["total_memories"], answer["episodic"], answer["semantic"]) == (2, 1, 1)


async def test_health_has_a_flag_per_store(api: httpx.AsyncClient) -> None:
    answer = await api.get("/health")
    flags = ("ok", "kv_store", "vector_store", "graph_store", "cache", "embedder")
    assert [answer.json()[flag] for flag in flags] == [True] * len(flags)


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/health", "/metrics"])
async def test_monitors_may_ask_for_the_head_only(api: httpx.AsyncClient, path: str) -> None:
    head, whole = await api.head(path), await api.get(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


async def test_the_head_of_what_is_not_open_is_not_asked_for(api: httpx.AsyncClient) -> None:
    assert (await api.head("/export_memories")).status_code == 405


async def test_liveness_answers(api: httpx.AsyncClient) -> None:
    assert (await api.get("/healthz")).json() == {"status": "ok"}


async def test_readiness_answers(api: httpx.AsyncClient) -> None:
    answer = (await api.get("/readyz")).json()
    assert answer == {"status": "ok", "down": [], "hint": "", "quarantined": []}


async def test_health_tells_latency_and_lag_of_each_backend(api: httpx.AsyncClient) -> None:
    ports = (await api.get("/health")).json()["ports"]
    assert {name: port["scheme"] for name, port in ports.items()} == {
        "kv": "memory",
        "vector": "memory",
        "graph": "memory",
        "cache": "memory",
        "embedder": "hashing",
    }
    assert all(port["latency_seconds"] >= 0 for port in ports.values())
    lags = {name: port["lag_seconds"] for name, port in ports.items() if port["backlog"] == 0}
    assert lags == {"vector": 0, "graph": 0}


@pytest.mark.parametrize(
    ("port", "status", "ready"),
    [("kv", "unusable", 503), ("vector", "degraded", 200), ("embedder", "degraded", 200)],
)
async def test_a_backend_that_does_not_answer_degrades_the_service_or_ends_it(
    fragile: httpx.AsyncClient, faults: FaultyPlugin, port: str, status: str, ready: int
) -> None:
    getattr(faults, port).fail("ping", times=None)
    health = await fragile.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, status)
    assert health.json()["ports"][port]["without"] == status
    assert (await fragile.get("/readyz")).status_code == ready


async def test_readiness_names_what_is_down_though_requests_are_served(
    fragile: httpx.AsyncClient, faults: FaultyPlugin
) -> None:
    faults.vector.fail("ping", times=None)
    answer = await fragile.get("/readyz")
    assert (answer.json()["status"], answer.json()["down"]) == ("degraded", ["vector"])


async def test_readiness_names_what_is_down_where_nothing_works(
    fragile: httpx.AsyncClient, faults: FaultyPlugin
) -> None:
    faults.kv.fail("ping", times=None)
    faults.embedder.fail("ping", times=None)
    problem = (await fragile.get("/readyz")).json()
    assert (problem["status"], problem["backend"]) == (503, "memory")
    assert "Down: kv, embedder." in problem["detail"]


async def test_readiness_names_a_plugin_in_quarantine(tmp_path: Path) -> None:
    class Broken:
        @hookimpl
        def sfm_register_caches(self, register: object) -> None:  # noqa: ARG002 - a hook
            raise RuntimeError("no driver")

    settings = Settings(memory_mode="test", data_folder=tmp_path)
    async with serving(create_app(settings, extra_plugins={"broken": Broken()})) as client:
        answer = await client.get("/readyz")
        assert (await client.get("/stats")).is_success
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["quarantined"]) == ("degraded", ["broken"])


async def test_what_is_down_is_no_secret_but_why_is(tmp_path: Path, faults: FaultyPlugin) -> None:
    settings = Settings(
        memory_mode="test", data_folder=tmp_path, kv_url="faulty:", api_token=SecretStr("t" * 32)
    )
    async with serving(create_app(settings, extra_plugins={"faulty": faults})) as client:
        faults.kv.fail(
            "ping",
            times=None,
            error=lambda: BackendUnavailableError("At db.internal.", backend="x"),
        )
        assert "db.internal" not in (await client.get("/readyz")).text


async def test_liveness_asks_no_backend(fragile: httpx.AsyncClient, faults: FaultyPlugin) -> None:
    before = [plan.calls.copy() for plan in (faults.kv, faults.vector, faults.embedder)]
    for _ in range(10):
        assert (await fragile.get("/healthz")).is_success
    after = [plan.calls for plan in (faults.kv, faults.vector, faults.embedder)]
    assert [plan["ping"] for plan in after] == [plan["ping"] for plan in before]


async def test_health_tells_how_far_a_store_that_is_down_is_behind(
    fragile: httpx.AsyncClient, faults: FaultyPlugin
) -> None:
    faults.vector.fail("upsert", times=None)
    await fragile.post("/store", json={"coord": "1", "payload": {"text": "late"}})
    port = (await fragile.get("/health")).json()["ports"]["vector"]
    assert port["backlog"] == 1
    assert port["lag_seconds"] > 0


async def test_before_the_start_only_liveness_answers(app: MemoryApp) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://sfm"
    ) as client:
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:sfm:error:unavailable")


async def test_metrics_count_requests_by_route_and_not_by_coordinate(
    api: httpx.AsyncClient,
) -> None:
    await api.get("/memories/1,2,3")
    await api.get("/no/such/route")
    text = (await api.get("/metrics")).text
    assert (
        'sfm_http_requests_total{method="GET",route="/memories/{coord}",status="404"} 1.0' in text
    )
    assert "1,2,3" not in text
    assert "/no/such/route" not in text


async def test_metrics_tell_what_was_published_and_what_waits(tmp_path: Path) -> None:
    settings = Settings(memory_mode="test", data_folder=tmp_path, eventing_enabled=True)
    async with serving(create_app(settings)) as api:
        await api.post("/store", json={"coord": "1", "payload": {"text": "told"}})
        async with asyncio.timeout(60):
            text = ""
            # Notes are let go of a moment after the write is answered.
            while not {"sfm_events_published_total 1.0", "sfm_outbox_depth 0.0"} <= {
                *text.splitlines()
            }:
                text = (await api.get("/metrics")).text
    for figure in (
        "sfm_events_publish_failures_total 0.0",
        "sfm_events_unpublished 0.0",
        "sfm_events_unpublished_oldest_seconds 0.0",
        "sfm_outbox_depth 0.0",
        "sfm_outbox_oldest_seconds 0.0",
    ):
        assert figure in text


async def test_metrics_leave_out_what_the_truth_does_not_tell(
    fragile: httpx.AsyncClient, faults: FaultyPlugin
) -> None:
    assert "sfm_outbox_depth" in (await fragile.get("/metrics")).text
    faults.kv.fail("outbox_status", times=None)
    answer = await fragile.get("/metrics")
    assert answer.status_code == 200
    assert "sfm_outbox_depth" not in answer.text


async def test_the_openapi_document_is_written_where_the_setting_says(
    tmp_path: Path, files: FileWorker
) -> None:
    path = tmp_path / "openapi.json"
    settings = Settings(memory_mode="test", data_folder=tmp_path, openapi_path=path)
    app = create_app(settings)
    await write_openapi(app, files)
    assert json.loads(path.read_text()) == json.loads(json.dumps(app.openapi()))


async def test_an_openapi_document_that_cannot_be_written_is_only_logged(
    tmp_path: Path, files: FileWorker, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "missing" / "openapi.json"
    app = create_app(Settings(memory_mode="test", data_folder=tmp_path, openapi_path=path))
    await write_openapi(app, files)
    assert "is not written" in caplog.text
