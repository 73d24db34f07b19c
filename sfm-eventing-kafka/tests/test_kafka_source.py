"""Reading the stream: where a group begins, what is lost and said to be, and how it is left."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import pytest
import pytest_asyncio
from kafka_helpers import forget, open_source, publish, receive_all

from sfm_core.errors import BackendUnavailableError, ConfigurationError
from sfm_core.model.events import Event
from sfm_core.testing.samples import coordinate, event
from sfm_eventing_kafka._driver import cancelled
from sfm_eventing_kafka.source import KafkaEventSource

WAIT = timedelta(seconds=60)


def events(first: int, last: int) -> list[Event]:
    return [event("n", coordinate(1.0), version) for version in range(first, last + 1)]


@pytest.fixture
def url(bootstrap: str, topic: str) -> str:
    return f"kafka://{bootstrap}/{topic}?partitions=1&group={topic}"


@pytest_asyncio.fixture
async def source(url: str) -> AsyncIterator[KafkaEventSource]:
    async with open_source(url) as source:
        yield source


async def versions(source: KafkaEventSource, count: int) -> list[int]:
    found = await receive_all(source, count)
    return [one.event.version for one in found if one.event is not None]


async def test_each_group_gets_every_event(url: str, source: KafkaEventSource) -> None:
    await publish(url, events(1, 3))
    await source.acknowledge(await receive_all(source, 3))
    async with open_source(f"{url}-two") as other:
        assert await versions(other, 3) == [1, 2, 3]


async def test_the_group_of_a_bare_url_is_that_of_the_variable(bootstrap: str, topic: str) -> None:
    url = f"kafka://{bootstrap}/{topic}?partitions=1"
    await publish(url, events(1, 3))
    async with open_source(f"{url}&group={topic}") as first:
        await first.acknowledge((await receive_all(first, 3))[:2])
    async with open_source(url, KAFKA_CONSUMER_GROUP=topic) as second:
        assert await versions(second, 1) == [3]


async def test_what_comes_again_lies_at_the_same_place(url: str) -> None:
    await publish(url, events(1, 2))
    places: list[list[str]] = []
    for _ in range(2):
        async with open_source(url) as source:
            places.append([one.place for one in await receive_all(source, 2)])
    assert places[0] == places[1]


async def test_a_member_that_is_closed_is_followed_at_once(bootstrap: str, topic: str) -> None:
    url = f"kafka://{bootstrap}/{topic}?group={topic}&session_timeout_seconds=60"
    await publish(url, events(1, 1))
    async with open_source(url) as first:
        await receive_all(first, 1)
    started = time.monotonic()
    async with open_source(url) as second:
        await receive_all(second, 1)
    assert time.monotonic() - started < 30


async def test_a_member_that_is_closed_while_it_joins_is_followed_at_once(
    bootstrap: str, topic: str
) -> None:
    url = f"kafka://{bootstrap}/{topic}?group={topic}&session_timeout_seconds=60"
    await publish(url, events(1, 1))
    async with open_source(url) as first:
        await receive_all(first, 1)
        async with asyncio.timeout(45), open_source(url) as second:
            # The first one is asked to hand over what it has in hand, and does not.
            assert await second.receive(limit=1, wait=timedelta(seconds=0.2)) == []
    started = time.monotonic()
    async with open_source(url) as third:
        await receive_all(third, 1)
    assert time.monotonic() - started < 30


async def test_a_task_of_the_driver_that_missed_that_it_was_cancelled_is_cancelled_again() -> None:
    async def answered() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def going_on() -> None:
        # A cancellation goes to what is awaited, which takes no notice of it.
        await asyncio.create_task(answered())
        await asyncio.Event().wait()

    task: asyncio.Task[object] = asyncio.create_task(going_on())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await cancelled(task)
    assert task.cancelled()


async def test_events_that_were_forgotten_while_nobody_read_are_reported(
    bootstrap: str, topic: str, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await publish(url, events(1, 10))
    async with open_source(url) as first:
        await first.acknowledge((await receive_all(first, 10))[:2])
    await forget(bootstrap, topic, before=7)
    with caplog.at_level(logging.ERROR, "sfm_eventing_kafka"):
        async with open_source(url) as second:
            assert await versions(second, 3) == [8, 9, 10]
            assert await second.lag() == 3
    assert "5 events" in caplog.text


async def test_events_that_are_forgotten_under_a_slow_reader_are_reported(
    bootstrap: str, topic: str, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    large = [event("n", coordinate(1.0), n, {"text": "x" * 900_000}) for n in range(1, 13)]
    await publish(f"{url}&compression=none", large)
    async with open_source(url) as source:
        # No more than a mebibyte is read ahead.
        [first] = await source.receive(limit=1, wait=WAIT)
        await source.acknowledge([first])
        await forget(bootstrap, topic, before=11)
        with caplog.at_level(logging.ERROR, "sfm_eventing_kafka"):
            assert await versions(source, 1) == [12]
    assert "10 events" in caplog.text


async def test_a_session_that_the_brokers_do_not_allow_is_refused(
    bootstrap: str, topic: str
) -> None:
    url = f"kafka://{bootstrap}/{topic}?group={topic}&session_timeout_seconds=3600"
    async with open_source(url) as source:
        with pytest.raises(ConfigurationError) as caught:
            await source.receive(limit=1, wait=WAIT)
    assert caught.value.setting == "session_timeout_seconds"


async def test_opening_works_while_no_broker_does() -> None:
    async with open_source("kafka://127.0.0.1:1?timeout_seconds=1") as source:
        with pytest.raises(BackendUnavailableError):
            await source.receive(limit=1, wait=WAIT)
        with pytest.raises(BackendUnavailableError):
            await source.ping()
        assert await source.lag() == 0
