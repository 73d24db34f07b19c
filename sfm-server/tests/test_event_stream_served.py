"""Events as a stream, of a server in processes of its own."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import count

import httpx
import psutil
import pytest
from event_streams import Told, messages
from fix_serving import TOKEN, Serve, Server
from test_workers import starts, until

PATIENCE = 60.0


def in_flight(server: Server) -> float:
    [line] = [
        line
        for line in httpx.get(f"{server.url}/metrics", timeout=30).text.splitlines()
        if line.startswith("sfm_http_requests_in_flight ")
    ]
    return float(line.split()[1])


@asynccontextmanager
async def opened(server: Server, **query: str) -> AsyncGenerator[AsyncGenerator[Told]]:
    """Open a stream, and wait until it has begun."""
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client,
        client.stream("GET", "/events", params=query) as answer,
    ):
        assert answer.status_code == 200
        async with aclosing(messages(answer.aiter_bytes())) as told:
            await anext(told)
            yield told


async def next_event(told: AsyncGenerator[Told]) -> Told:
    """Pass over what a stream says where nothing has happened for a while."""
    while not (one := await anext(told)).event:
        pass
    return one


async def store(server: Server, coord: str) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
        body = {"coord": coord, "payload": {"text": f"fact {coord}"}}
        assert (await client.post("/store", json=body)).is_success


@pytest.mark.parametrize("number", ["1", "2"])
async def test_open_streams_do_not_keep_a_server_from_stopping(serve: Serve, number: str) -> None:
    server = serve(UVICORN_WORKERS=number)
    # One that is still to start has no memory to close.
    await asyncio.to_thread(until, lambda: starts(server) == int(number))
    async with opened(server) as one, opened(server) as other:
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert [told async for told in one if told.event] == []
        assert [told async for told in other if told.event] == []
        log = await asyncio.to_thread(server.stop)
    assert time.monotonic() - begun < PATIENCE
    assert log.count("the memory is closed") == int(number)
    assert "timeout graceful shutdown exceeded" not in log
    assert "Traceback" not in log


async def test_a_client_that_leaves_is_forgotten(serve: Serve) -> None:
    server = serve()
    async with opened(server), opened(server, after="start") as told:
        for number in range(3):
            await store(server, str(number))
            await next_event(told)
        await asyncio.to_thread(until, lambda: in_flight(server) == 3)
    await asyncio.to_thread(until, lambda: in_flight(server) == 1)
    assert "Traceback" not in server.stop()


async def test_a_client_that_does_not_read_holds_up_nobody_and_misses_nothing(
    serve: Serve,
) -> None:
    server = serve(SFM_SLOW_READER_SECONDS="3600")
    async with (
        opened(server) as slow,
        opened(server) as fast,
        httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client,
    ):
        for start in range(0, 300, 100):
            items = [
                {"coord": f"{n}", "payload": {"text": "x" * 20_000}}
                for n in range(start, start + 100)
            ]
            assert (await client.post("/store_bulk", json={"items": items})).is_success
        expected = [(str(number), 1) for number in range(300)]
        assert [(await next_event(fast)).what for _ in range(300)] == expected
        assert [(await next_event(slow)).what for _ in range(300)] == expected


def test_a_stream_needs_the_token(server: Server) -> None:
    for path in ("/events", "/events/page"):
        assert httpx.get(f"{server.url}{path}", timeout=30).status_code == 401
    authorized = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{server.url}/events/page", headers=authorized, timeout=30).is_success


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_worker_that_is_killed_costs_no_event(serve: Serve) -> None:
    server = serve(UVICORN_WORKERS="2")
    acknowledged: list[str] = []
    done = asyncio.Event()
    following = asyncio.create_task(follow(server, acknowledged, done))
    for number in count():
        if len(acknowledged) == 120:
            break
        with suppress(httpx.TransportError):
            await store(server, str(number))
            acknowledged.append(str(number))
        if number in {20, 40, 60, 80} and (alive := workers(server)):
            alive[number // 20 % len(alive)].kill()
    done.set()
    found = await asyncio.wait_for(following, PATIENCE)
    assert len({one.document["id"] for one in found}) == len({one.what for one in found})


def workers(server: Server) -> list[psutil.Process]:
    processes = psutil.Process(server.process.pid).children(recursive=True)
    return [one for one in processes if is_worker(one)]


def is_worker(process: psutil.Process) -> bool:
    try:
        return any("spawn_main" in word for word in process.cmdline())
    except psutil.NoSuchProcess:  # killed before, and perhaps not yet reaped
        return False


async def follow(server: Server, wanted: list[str], done: asyncio.Event) -> list[Told]:
    """Follow until all is told, as a browser does: where the stream breaks off, it goes on.

    Each second without a word breaks it off; there may be some on a slow machine.
    """
    found: list[Told] = []
    last = ""
    while True:
        headers = {"Last-Event-ID": last} if last else {}
        with suppress(httpx.TransportError):
            async with (
                httpx.AsyncClient(base_url=server.url, timeout=1) as client,
                client.stream(
                    "GET", "/events", params={"after": "start"}, headers=headers
                ) as answer,
                aclosing(messages(answer.aiter_bytes())) as told,
            ):
                async for one in told:
                    found += [one] if one.event else []
                    last = one.id
        if done.is_set() and {one.what[0] for one in found}.issuperset(wanted):
            return found
