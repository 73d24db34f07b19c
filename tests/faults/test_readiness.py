"""What the probes answer while a real server behind the memory is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import redis_server

from tests.fix_server import ServerProcess, ask, settled
from tests.fix_services import ALWAYS


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[redis_server.Server]:
    """A server that only this test uses."""
    folder = tmp_path / "redis"
    folder.mkdir()
    running = redis_server.Server(folder, ALWAYS)
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def client(
    request: pytest.FixtureRequest, redis: redis_server.Server, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """A server whose port of this test is on that one; everything else is embedded."""
    folder = tmp_path / "server"
    folder.mkdir()
    variables = {"MEMORY_MODE": "embedded", f"SFM_{request.param}_URL": redis.url}
    server = ServerProcess(folder, variables)
    await server.start()
    async with server.client() as opened:
        yield opened
    server.close()


@pytest.mark.parametrize("client", ["CACHE"], indirect=True)
async def test_without_the_cache_the_service_is_degraded_and_answers(
    client: httpx.AsyncClient, redis: redis_server.Server
) -> None:
    await asyncio.to_thread(redis.kill)

    async def nothing_else_is_down() -> bool:
        ready = await client.get("/readyz")
        told: dict[str, object] = ready.json()
        return (ready.status_code, told["status"], told.get("down")) == (200, "degraded", ["cache"])

    # Another one that takes two seconds to answer counts as down, too, until the next time.
    await settled(nothing_else_is_down)
    await ask(client, "/store", {"coord": "1", "payload": {"text": "a whale"}})
    found = await ask(client, "/recall", {"query": "whale"})
    assert found["matches"] == [{"text": "a whale"}]
    await asyncio.to_thread(redis.start)

    async def well() -> bool:
        return bool((await client.get("/readyz")).json()["status"] == "ok")

    await settled(well)


@pytest.mark.parametrize("client", ["KV"], indirect=True)
async def test_without_the_truth_the_service_is_unusable_and_the_process_lives(
    client: httpx.AsyncClient, redis: redis_server.Server
) -> None:
    await asyncio.to_thread(redis.kill)

    async def nothing_else_is_down() -> bool:
        ready = await client.get("/readyz")
        said = ready.status_code, ready.json()["type"]
        assert said == (503, "urn:sfm:error:backend-unavailable")
        return "Down: kv." in ready.json()["detail"]

    await settled(nothing_else_is_down)
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/metrics")).is_success
    await asyncio.to_thread(redis.start)

    async def usable() -> bool:
        return (await client.get("/readyz")).is_success

    await settled(usable)
