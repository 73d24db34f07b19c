from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from sfm_server.app import create_app
from sfm_server.settings import Settings

EVER = "2000-01-01"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(memory_mode="test", data_folder=tmp_path / "data", eventing_enabled=True)


async def fill(api: httpx.AsyncClient, namespace: str = "default") -> None:
    for text in ("one", "two"):
        body = {"coord": "1", "payload": {"text": text}, "namespace": namespace}
        assert (await api.post("/store", json=body)).is_success
    body = {"from_coord": "1", "to_coord": "1", "namespace": namespace}
    assert (await api.post("/link", json=body)).is_success


async def test_what_changed_is_told_again(api: httpx.AsyncClient) -> None:
    await fill(api)
    answer = await api.post("/events/replay", json={"from": EVER})
    assert answer.json() == {"events": 3, "memories": 2, "links": 1}


async def test_a_replay_can_be_narrowed_and_only_counted(api: httpx.AsyncClient) -> None:
    await fill(api)
    await fill(api, "other")
    body = {"from": EVER, "namespaces": ["other"], "dry_run": True}
    assert (await api.post("/events/replay", json=body)).json()["events"] == 3
    later = {"from": "2999-01-01T00:00:00+02:00"}
    assert (await api.post("/events/replay", json=later)).json()["events"] == 0


@pytest.mark.parametrize("time", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00"])
async def test_what_is_no_time_is_refused(api: httpx.AsyncClient, time: str) -> None:
    answer = await api.post("/events/replay", json={"from": time})
    assert (answer.status_code, answer.json()["field"]) == (422, "from")


async def test_a_replay_is_refused_where_events_are_off(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"eventing_enabled": False}))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://sfm") as client,
    ):
        answer = await client.post("/events/replay", json={"from": EVER})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:sfm:error:events-off")
    assert "EVENTING_ENABLED" in answer.json()["remedy"]
