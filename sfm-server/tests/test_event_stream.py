"""Events as a stream, in this process."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from event_streams import Told, listen

from sfm_core.model.cloudevents import parse_cloudevent
from sfm_server.app import MemoryApp, create_app
from sfm_server.routes import events
from sfm_server.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(memory_mode="test", data_folder=tmp_path / "data", eventing_enabled=True)


async def store(api: httpx.AsyncClient, *texts: str, namespace: str = "default") -> None:
    for text in texts:
        body = {"coord": "1", "payload": {"text": text}, "namespace": namespace}
        assert (await api.post("/store", json=body)).is_success


async def position(api: httpx.AsyncClient) -> str:
    """Return where the log ends."""
    found: str = (await api.get("/events/page")).json()["position"]
    return found


def told(found: list[Told]) -> list[tuple[object, object]]:
    return [one.what for one in found]


async def test_what_changes_is_told_as_it_happens(app: MemoryApp, api: httpx.AsyncClient) -> None:
    await store(api, "before")
    async with listen(app) as stream:
        assert (await stream.next()).event == ""
        await store(api, "tea")
        [one] = await stream.events(1)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-cache"
    assert one.event == "memory.stored"
    event = parse_cloudevent(one.document)
    assert event.data is not None
    assert (event.version, event.data["payload"]) == (2, {"text": "tea"})


async def test_from_the_start_all_there_is_is_told(app: MemoryApp, api: httpx.AsyncClient) -> None:
    await store(api, *map(str, range(250)))
    async with listen(app, after="start") as stream:
        assert told(await stream.events(250)) == [("1", version) for version in range(1, 251)]


async def test_a_client_goes_on_after_the_last_event_that_it_had(
    app: MemoryApp, api: httpx.AsyncClient
) -> None:
    await store(api, *map(str, range(5)))
    async with listen(app, after="start") as stream:
        had = await stream.events(3)
    await store(api, "more")
    async with listen(app, headers={"Last-Event-ID": had[-1].id}, after="start") as stream:
        assert told(await stream.events(3)) == [("1", 4), ("1", 5), ("1", 6)]


async def test_a_client_that_has_had_nothing_yet_misses_nothing(
    app: MemoryApp, api: httpx.AsyncClient
) -> None:
    async with listen(app) as stream:
        greeting = await stream.next()
    await store(api, "meanwhile")
    async with listen(app, headers={"Last-Event-ID": greeting.id}) as stream:
        assert told(await stream.events(1)) == [("1", 1)]


async def test_a_stream_tells_of_its_own_namespace_only(
    app: MemoryApp, api: httpx.AsyncClient
) -> None:
    own = {"X-SFM-Namespace": "own"}
    async with (
        listen(app, headers=own) as by_header,
        listen(app, namespace="own") as by_query,
        listen(app) as default,
        listen(app, all_namespaces="true") as everything,
    ):
        for one in (by_header, by_query, default, everything):
            await one.next()
        for namespace in ("other", "own", "default", "own"):
            await store(api, "x", namespace=namespace)
        expected = {by_header: ["own", "own"], by_query: ["own", "own"], default: ["default"]}
        for stream, sources in expected.items():
            found = await stream.events(len(sources))
            assert [one.document["source"] for one in found] == [
                f"/namespaces/{s}" for s in sources
            ]
        assert len(await everything.events(4)) == 4


async def test_a_stream_can_be_narrowed_to_types(app: MemoryApp, api: httpx.AsyncClient) -> None:
    await store(api, "x")
    await api.delete("/memories/1")
    async with listen(app, after="start", types="memory.deleted") as stream:
        assert told(await stream.events(1)) == [("1", 2)]
    async with listen(app, types="memory.forgotten") as stream:
        assert stream.status == 422


async def test_silence_is_broken_and_moves_the_position_on(
    app: MemoryApp, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", timedelta(milliseconds=20))
    async with listen(app, namespace="quiet") as stream:
        first = await stream.next()
        await store(api, "loud")
        while (later := await stream.next()).id == first.id:
            assert later.event == ""
    async with listen(app, headers={"Last-Event-ID": later.id}, all_namespaces="true") as stream:
        await stream.next()
        await store(api, "louder")
        assert told(await stream.events(1)) == [("1", 2)]


@pytest.mark.parametrize("after", ["yesterday", "a.b", "nowhere.AA", "start "])
async def test_what_is_no_position_is_refused(
    app: MemoryApp, api: httpx.AsyncClient, after: str
) -> None:
    async with listen(app, after=after) as stream:
        problem = json.loads(await stream.body())
    assert (stream.status, problem["field"]) == (422, "after")
    assert (await api.get("/events/page", params={"after": after})).status_code == 422


async def test_a_position_of_another_truth_is_gone(
    app: MemoryApp, api: httpx.AsyncClient, settings: Settings
) -> None:
    elsewhere = create_app(settings)
    async with elsewhere.router.lifespan_context(elsewhere), listen(elsewhere) as stream:
        theirs = (await stream.next()).id
    async with listen(app, headers={"Last-Event-ID": theirs}) as stream:
        problem = json.loads(await stream.body())
    assert (stream.status, problem["type"]) == (410, "urn:sfm:error:events-gone")
    assert "export" in problem["remedy"]
    assert (await api.get("/events/page", params={"after": theirs})).status_code == 410


async def test_without_events_there_is_no_stream(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"eventing_enabled": False}))
    async with app.router.lifespan_context(app), listen(app) as stream:
        problem = json.loads(await stream.body())
    assert (stream.status, problem["type"]) == (409, "urn:sfm:error:events-off")


async def test_payloads_are_kept_back_from_streams_too(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"events_payload": "none"}))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://sfm") as api,
    ):
        await store(api, "secret")
        async with listen(app, after="start") as stream:
            [one] = await stream.events(1)
    assert "secret" not in json.dumps(one.document)


async def test_a_stop_ends_streams_and_waiting(app: MemoryApp, api: httpx.AsyncClient) -> None:
    async with listen(app) as stream:
        await stream.next()
        waiting = asyncio.create_task(api.get("/events/page", params={"wait_seconds": 60}))
        for _ in range(100):
            await asyncio.sleep(0)
        app.state.closing.set()
        assert await stream.body() == b""
        answer = await asyncio.wait_for(waiting, 30)
    assert (answer.status_code, answer.json()["events"]) == (200, [])


async def test_a_page_tells_what_there_is_and_where_to_read_on(api: httpx.AsyncClient) -> None:
    await store(api, "one", "two", "three")
    first = (await api.get("/events/page", params={"after": "start", "limit": 2})).json()
    assert ([one["version"] for one in first["events"]], first["more"]) == ([1, 2], True)
    rest = (await api.get("/events/page", params={"after": first["position"]})).json()
    assert ([one["version"] for one in rest["events"]], rest["more"]) == ([3], False)


async def test_a_page_can_be_waited_for(api: httpx.AsyncClient) -> None:
    query = {"after": await position(api), "wait_seconds": "20"}
    waiting = asyncio.create_task(api.get("/events/page", params=query))
    await asyncio.sleep(0)
    await store(api, "at last")
    found = (await waiting).json()
    assert [one["version"] for one in found["events"]] == [1]
    empty = await api.get(
        "/events/page", params={"after": found["position"], "wait_seconds": "0.01"}
    )
    assert empty.json() == {"events": [], "position": found["position"], "more": False}
