from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from sfm_server.app import MemoryApp, create_app
from sfm_server.files import FileWorker
from sfm_server.lifespan import write_openapi
from sfm_server.settings import Settings


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


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_answer(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.get(path)).json() == {"status": "ok"}


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
