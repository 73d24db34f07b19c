from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from sfm_server.limiting.pools import Arriving, Pool
from sfm_server.problems import OverloadedError
from sfm_server.settings import Settings

NO_PATIENCE = timedelta(milliseconds=20)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        memory_mode="test",
        data_folder=tmp_path,
        max_writes=1,
        max_reads=1,
        max_admin=2,
        max_waiting=1,
        max_wait_seconds=0.05,
        max_arriving_bytes=4000,
        max_body_bytes=2000,
        eventing_enabled=True,
    )


class TestPool:
    async def test_who_waits_gets_the_place_that_becomes_free(self) -> None:
        pool = Pool(1, waiting=1, patience=timedelta(seconds=5), share=9)
        await pool.enter("a")
        waiting = asyncio.create_task(pool.enter("b"))
        await asyncio.sleep(0)
        pool.leave("a")
        await waiting

    async def test_nobody_waits_for_ever(self) -> None:
        pool = Pool(1, waiting=1, patience=NO_PATIENCE, share=9)
        await pool.enter("a")
        with pytest.raises(OverloadedError):
            await pool.enter("b")

    async def test_the_queue_is_bounded(self) -> None:
        pool = Pool(1, waiting=1, patience=timedelta(seconds=5), share=9)
        await pool.enter("a")
        waiting = asyncio.create_task(pool.enter("b"))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await pool.enter("c")
        pool.leave("a")
        await waiting

    async def test_who_gives_up_waiting_leaves_the_queue(self) -> None:
        pool = Pool(1, waiting=1, patience=timedelta(seconds=5), share=9)
        await pool.enter("a")
        for _ in range(3):
            waiting = asyncio.create_task(pool.enter("b"))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        pool.leave("a")
        await pool.enter("c")

    async def test_one_caller_does_not_get_all_places(self) -> None:
        pool = Pool(4, waiting=1, patience=NO_PATIENCE, share=2)
        await pool.enter("a")
        await pool.enter("a")
        with pytest.raises(OverloadedError):
            await pool.enter("a")
        await pool.enter("b")
        pool.leave("a")
        await pool.enter("a")

    def test_bytes_that_are_given_back_can_be_taken_again(self) -> None:
        arriving = Arriving(10)
        arriving.take("a", 5)
        arriving.take("b", 5)
        with pytest.raises(OverloadedError):
            arriving.take("c", 1)
        arriving.give_back("a", 5)
        arriving.take("c", 5)

    def test_one_caller_gets_half_of_the_room(self) -> None:
        arriving = Arriving(10)
        arriving.take("a", 5)
        with pytest.raises(OverloadedError):
            arriving.take("a", 1)
        arriving.take("b", 5)


class Slowly:
    """A body that ends when it is told to."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts
        self.begun = asyncio.Event()
        self.ends = asyncio.Event()

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        for part in self.parts[:-1]:
            yield part
        self.begun.set()
        await self.ends.wait()
        yield self.parts[-1]


def is_overloaded(answer: httpx.Response) -> bool:
    return (
        answer.status_code == 503
        and answer.json()["type"] == "urn:sfm:error:overloaded"
        and answer.headers["retry-after"] == "1"
    )


async def test_work_beyond_the_limit_is_refused_and_other_kinds_go_on(
    api: httpx.AsyncClient,
) -> None:
    # An import is worked on while it arrives, so it holds its place.
    body = Slowly(b'{"coord": "1",', b'"payload": {}}')
    lines = {"Content-Type": "application/x-ndjson"}
    first = asyncio.create_task(api.post("/import_memories", content=body, headers=lines))
    await body.begun.wait()
    assert is_overloaded(await api.post("/import_memories", content=b"{}", headers=lines))
    assert (await api.post("/store", json={"coord": "2", "payload": {}})).is_success
    assert (await api.get("/stats")).is_success
    body.ends.set()
    assert (await first).json()["imported"] == 1
    assert (await api.post("/import_memories", content=b"", headers=lines)).is_success


async def test_a_body_that_trickles_in_keeps_no_place_from_those_that_are_whole(
    api: httpx.AsyncClient,
) -> None:
    body = Slowly(b'{"coord": "1",', b'"payload": {}}')
    slow = asyncio.create_task(api.post("/store", content=body, headers=JSON))
    await body.begun.wait()
    for number in range(3):
        answer = await api.post("/store", json={"coord": f"{number},0", "payload": {}})
        assert answer.is_success
    body.ends.set()
    assert (await slow).is_success


async def test_bodies_that_arrive_take_bounded_room(api: httpx.AsyncClient) -> None:
    body = Slowly(b'{"coord": "1", "payload": {"a": "%s' % (b"x" * 1500), b'"}}')
    slow = asyncio.create_task(api.post("/store", content=body, headers=JSON))
    await body.begun.wait()
    large = {"coord": "2", "payload": {"a": "x" * 600}}
    assert is_overloaded(await api.post("/store", json=large))
    assert (await api.post("/store", json={"coord": "3", "payload": {}})).is_success
    body.ends.set()
    assert (await slow).is_success
    assert (await api.post("/store", json=large)).is_success


async def test_work_that_takes_no_body_needs_a_place_too(
    api: httpx.AsyncClient,
) -> None:
    body = Slowly(b"", b"")
    lines = {"Content-Type": "application/x-ndjson"}
    first = asyncio.create_task(api.post("/import_memories", content=body, headers=lines))
    await body.begun.wait()
    assert is_overloaded(await api.post("/rebuild"))
    body.ends.set()
    assert (await first).is_success
    assert (await api.post("/rebuild")).is_success


async def test_a_refused_body_gives_its_place_back(api: httpx.AsyncClient) -> None:
    for _ in range(3):
        assert (await api.post("/store", content=b"{", headers=JSON)).status_code == 400
        assert (await api.post("/recall", json={})).status_code == 422
    assert (await api.post("/store", json={"coord": "1", "payload": {}})).is_success
    assert (await api.post("/recall", json={"query": "x"})).is_success
