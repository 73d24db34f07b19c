"""What callers of the API are told when a key is not there."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from sfm_server.encryption.keeping import add_key, destroy_key
from sfm_server.settings import Settings

NOW = datetime(2026, 2, 3, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    add_key(file, "one", namespace=None, at=NOW)
    add_key(file, "own", namespace="tenant", at=NOW)
    return file


@pytest.fixture
def settings(tmp_path: Path, file: Path) -> Settings:
    return Settings(memory_mode="test", data_folder=tmp_path / "data", encryption_keys_file=file)


async def store(api: httpx.AsyncClient, namespace: str) -> httpx.Response:
    asked = {"coord": "1", "payload": {"said": "A whale sings."}, "namespace": namespace}
    return await api.post("/store", json=asked)


async def read(api: httpx.AsyncClient, namespace: str) -> httpx.Response:
    return await api.get("/memories/1", params={"namespace": namespace})


async def refused(api: httpx.AsyncClient) -> httpx.Response:
    """Read until the server has looked at the file again."""
    async with asyncio.timeout(60):
        while (answer := await read(api, "tenant")).is_success:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
    return answer


def exchange(file: Path, content: bytes) -> bytes:
    """Put something else into the file, and return what was in it."""
    before = file.read_bytes()
    file.write_bytes(content)
    return before


async def test_a_destroyed_key_is_told_in_its_namespace_alone(
    api: httpx.AsyncClient, file: Path
) -> None:
    for name in ("tenant", "other"):
        assert (await store(api, name)).is_success
    destroy_key(file, "own", at=NOW)
    for answer in (await refused(api), await store(api, "tenant")):
        assert answer.status_code == httpx.codes.GONE
        assert answer.json()["type"] == "urn:sfm:error:encryption-key-destroyed"
    assert (await read(api, "other")).is_success
    assert (await store(api, "other")).is_success


async def test_a_memory_whose_key_is_missing_is_not_missing(
    api: httpx.AsyncClient, file: Path, tmp_path: Path
) -> None:
    await store(api, "tenant")
    add_key(tmp_path / "others.json", "one", namespace=None, at=NOW)
    whole = exchange(file, exchange(tmp_path / "others.json", b""))
    answer = await refused(api)
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert answer.json()["type"] == "urn:sfm:error:encryption-key"
    exchange(file, whole)
    assert (await read(api, "tenant")).is_success


async def test_a_missing_key_shows_until_it_is_back_and_is_named_in_the_log_alone(
    api: httpx.AsyncClient, file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await store(api, "tenant")
    assert (await api.get("/readyz")).json()["status"] == "ok"
    add_key(tmp_path / "others.json", "one", namespace=None, at=NOW)
    whole = exchange(file, exchange(tmp_path / "others.json", b""))
    await refused(api)
    shown = (await api.get("/readyz")).json()
    assert (shown["status"], "key" in shown["hint"], "own" in shown["hint"]) == (
        "degraded",
        True,
        False,
    )
    assert "key" in (await api.get("/health")).json()["hint"]
    assert "'own'" in caplog.text
    exchange(file, whole)
    await ready(api)


async def test_a_file_of_keys_that_cannot_be_used_shows_until_it_can(
    api: httpx.AsyncClient, file: Path
) -> None:
    await store(api, "tenant")
    whole = exchange(file, b"{")
    async with asyncio.timeout(60):
        while (shown := (await api.get("/readyz")).json())["status"] == "ok":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert "file of keys" in shown["hint"]
    assert (await read(api, "tenant")).is_success
    exchange(file, whole)
    await ready(api)


async def ready(api: httpx.AsyncClient) -> None:
    """Wait until nothing is wrong any more."""
    async with asyncio.timeout(60):
        while (await api.get("/readyz")).json()["status"] != "ok":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
