"""Exports of a truth that does not answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from faulty_plugin import FaultyPlugin

from sfm_server.app import create_app
from sfm_server.settings import Settings


@pytest.fixture
def faults() -> FaultyPlugin:
    return FaultyPlugin()


@pytest.fixture
async def api(tmp_path: Path, faults: FaultyPlugin) -> AsyncGenerator[httpx.AsyncClient]:
    """The API on a truth that fails as `faults` says."""
    settings = Settings(memory_mode="test", data_folder=tmp_path, kv_url="faulty:")
    app = create_app(settings, extra_plugins={"faulty": faults})
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sfm") as client,
    ):
        yield client


@pytest.mark.parametrize("parameters", [{}, {"namespaces": "default"}], ids=["all", "listed"])
async def test_an_export_of_a_truth_that_is_down_says_so_by_its_status(
    api: httpx.AsyncClient, faults: FaultyPlugin, parameters: dict[str, str]
) -> None:
    faults.kv.fail("namespaces", times=None)
    faults.kv.fail("scan", times=None)
    answer = await api.get("/export_memories", params=parameters)
    assert (answer.status_code, answer.json()["type"]) == (
        503,
        "urn:sfm:error:backend-unavailable",
    )


async def test_an_export_that_fails_later_ends_without_a_footer(
    api: httpx.AsyncClient, faults: FaultyPlugin
) -> None:
    items = [{"coord": str(number), "payload": {"text": "x" * 10_000}} for number in range(600)]
    await api.post("/store_bulk", json={"items": items})
    faults.kv.fail("scan", nth=3, times=None)
    answer = await api.get("/export_memories", params={"namespaces": "default"})
    assert answer.status_code == 200
    assert '"footer"' not in answer.text
