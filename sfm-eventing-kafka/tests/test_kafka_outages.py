"""Brokers that are away, die and come back: what callers are told, and what is on the topic."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from kafka_brokers import ApacheKafka, Tansu
from kafka_helpers import open_sink, read_events

from sfm_core.errors import BackendUnavailableError, ConfigurationError, DeadlineExceededError
from sfm_core.model.events import Event
from sfm_core.testing.loopback import free_port
from sfm_core.testing.samples import coordinate, event
from sfm_eventing_kafka.sink import KafkaEventSink

PLACES = [coordinate(float(number)) for number in range(5)]


def versions(events: list[Event]) -> list[list[int]]:
    """Return the versions of each memory as they were read."""
    return [[one.version for one in events if one.subject == str(place)] for place in PLACES]


def page(first: int, last: int) -> list[Event]:
    """Return events of several memories, as a relay publishes them."""
    return [event("n", place, n) for n in range(first, last + 1) for place in PLACES]


async def persist(sink: KafkaEventSink, events: list[Event]) -> int:
    """Publish, again and again as a relay does; tell how often that failed."""
    failures = 0
    while True:
        try:
            await sink.publish(events)
        except BackendUnavailableError:
            failures += 1
            await asyncio.sleep(0.1)
        else:
            return failures


async def test_opening_works_while_no_broker_does() -> None:
    async with open_sink(f"kafka://127.0.0.1:{free_port()}") as sink:
        with pytest.raises(BackendUnavailableError, match="could not be reached"):
            await sink.publish(page(1, 1))
        with pytest.raises(BackendUnavailableError):
            await sink.ping()


async def test_a_broker_that_does_not_answer_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with open_sink(f"kafka://127.0.0.1:{port}?timeout_seconds=0.3") as sink:
            with pytest.raises(DeadlineExceededError, match="in time"):
                await sink.publish(page(1, 1))


async def test_a_broker_without_idempotence_is_told_so(tansu: Tansu, topic: str) -> None:
    async with open_sink(f"kafka://{tansu.address}/{topic}") as sink:
        with pytest.raises(ConfigurationError) as caught:
            await sink.publish(page(1, 1))
    assert caught.value.setting == "idempotence"


@pytest.mark.long
async def test_a_killed_broker_costs_nothing_but_delay(
    apache_kafka: ApacheKafka, topic: str
) -> None:
    url = f"kafka://{apache_kafka.address}/{topic}?timeout_seconds=2"
    async with open_sink(url) as sink:
        await sink.publish(page(1, 20))
        apache_kafka.kill()
        with pytest.raises(BackendUnavailableError):
            await sink.publish(page(21, 40))
        restart = asyncio.to_thread(apache_kafka.start)
        failures, _ = await asyncio.gather(persist(sink, page(21, 40)), restart)
        await sink.publish(page(41, 60))
    assert failures
    expected = [list(range(1, 61))] * len(PLACES)
    assert versions(await read_events(apache_kafka.address, topic)) == expected


@pytest.mark.long
async def test_a_broker_killed_in_the_midst_of_work_loses_and_repeats_nothing(
    apache_kafka: ApacheKafka, topic: str
) -> None:
    url = f"kafka://{apache_kafka.address}/{topic}?timeout_seconds=2"

    async def publish() -> None:
        for first in range(1, 400, 4):
            await persist(sink, page(first, first + 3))

    async with open_sink(url) as sink:
        await sink.ping()
        work = asyncio.create_task(publish())
        await asyncio.sleep(0.05)
        apache_kafka.kill()
        await asyncio.to_thread(apache_kafka.start)
        await work
    expected = [list(range(1, 401))] * len(PLACES)
    assert versions(await read_events(apache_kafka.address, topic)) == expected


async def test_closing_does_not_wait_for_a_broker_that_is_away(
    start_tansu: Callable[[], Tansu], topic: str
) -> None:
    broker = start_tansu()
    url = f"kafka://{broker.address}/{topic}?idempotence=off&timeout_seconds=5"
    async with asyncio.timeout(60), open_sink(url) as sink:
        await sink.ping()
        broker.kill()
        with pytest.raises(BackendUnavailableError):
            await sink.publish(page(1, 2))


async def test_a_cancelled_publication_leaves_the_sink_usable(tansu: Tansu, topic: str) -> None:
    async with open_sink(f"kafka://{tansu.address}/{topic}?idempotence=off") as sink:
        await sink.ping()
        for version in range(1, 21):
            task = asyncio.create_task(sink.publish(page(version, version)))
            for _ in range(version % 7):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await sink.publish(page(version, version))
    assert versions(await read_events(tansu.address, topic)) == [list(range(1, 21))] * len(PLACES)
