"""The application in this process, in mode `test`."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from sfm_server.app import MemoryApp, create_app
from sfm_server.settings import Settings

_OURS = (
    "CONSUMER_",
    "EVENTING_ENABLED",
    "KAFKA_",
    "OTEL_",
    "PROMETHEUS_MULTIPROC_DIR",
    "MEMORY_MODE",
    "OPENAI_",
    "POSTGRES_",
    "QDRANT_",
    "REDIS_",
    "SFM_",
    "SOMA_",
    "UVICORN_",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working folder, and none of our variables, so that no setting comes in by chance."""
    for name in list(os.environ):  # noqa: TID251 - to be emptied
        if name.startswith(_OURS):
            monkeypatch.delenv(name)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "share"))
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(memory_mode="test", data_folder=tmp_path / "data", max_body_bytes=20_000_000)


@pytest.fixture
def app(settings: Settings) -> MemoryApp:
    return create_app(settings)


@pytest.fixture
async def api(app: MemoryApp) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://sfm") as client,
    ):
        yield client
