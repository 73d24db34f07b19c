"""Members that come, go and die, and brokers that die under them."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from kafka_brokers import ApacheKafka
from kafka_helpers import open_sink, open_source, publish, receive_all
from kafka_journal import Journal, consume

from sfm_core.errors import BackendUnavailableError
from sfm_core.model.events import Event
from sfm_core.protocols.source import Delivery
from sfm_core.testing.samples import coordinate, event
from sfm_eventing_kafka.source import KafkaEventSource

PLACES = [coordinate(float(number)) for number in range(20)]
CHILD = Path(__file__).with_name("kafka_child.py")
PATIENCE_SECONDS = 90


def page(version: int) -> list[Event]:
    """Return one more event of each memory."""
    return [event("n", place, version) for place in PLACES]


def expected(versions: int) -> dict[str, list[int]]:
    return {str(place): list(range(1, versions + 1)) for place in PLACES}


@asynccontextmanager
async def member(url: str, journal: Journal) -> AsyncGenerator[None]:
    """Have one more member consume, until the block ends."""
    async with open_source(url) as source:
        work = asyncio.create_task(consume(source, journal))
        try:
            yield
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work


async def publish_all(url: str, versions: int, *, pause: float = 0.0) -> None:
    """Publish the events of every memory, page by page; insist through outages."""
    async with open_sink(url) as sink:
        for version in range(1, versions + 1):
            while True:
                try:
                    await sink.publish(page(version))
                except BackendUnavailableError:
                    await asyncio.sleep(0.1)
                else:
                    break
            await asyncio.sleep(pause)


async def receive_any(source: KafkaEventSource) -> list[Delivery]:
    """Receive until something comes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := await source.receive(limit=1000, wait=timedelta(seconds=1))):
            pass
    return found


async def test_members_that_come_and_go_lose_nothing_and_are_handed_nothing_twice(
    bootstrap: str, topic: str
) -> None:
    url = f"kafka://{bootstrap}/{topic}?partitions=6&group={topic}"
    journal, dice = Journal(), random.Random(7)

    async def come_and_go(stays: float) -> None:
        async with member(url, journal):
            await asyncio.sleep(stays)

    async with member(url, journal):
        load = asyncio.create_task(publish_all(url, 150, pause=0.04))
        for _ in range(3):
            await asyncio.gather(*(come_and_go(dice.uniform(0.2, 2.0)) for _ in range(2)))
        await load
        await journal.until(lambda: len(journal) >= 150 * len(PLACES))
    assert journal.versions() == expected(150)
    assert journal.again == []


async def test_what_is_in_hand_is_finished_before_it_is_handed_over(
    bootstrap: str, topic: str
) -> None:
    url = f"kafka://{bootstrap}/{topic}?partitions=6&group={topic}"
    await publish(url, page(1))
    async with open_source(url) as first, open_source(url) as second:
        in_hand = await receive_all(first, len(PLACES))
        joining = asyncio.create_task(receive_any(second))
        # It does not get anything while the first one works.
        assert await asyncio.wait([joining], timeout=3) == (set(), {joining})
        await first.acknowledge(in_hand)
        await publish(url, page(2))
        found = await joining
        # Each partition may come by itself, and who has which is up to the group.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(found) < len(PLACES):
                for each in (first, second):
                    found += await each.receive(limit=1000, wait=timedelta(seconds=1))
    assert sorted(one.event.subject for one in found if one.event) == sorted(map(str, PLACES))
    assert {one.event.version for one in found if one.event} == {2}


async def test_who_does_not_finish_in_time_may_still_acknowledge_what_it_got_back(
    bootstrap: str, topic: str
) -> None:
    url = f"kafka://{bootstrap}/{topic}?partitions=6&group={topic}&session_timeout_seconds=3"
    await publish(url, page(1))
    async with open_source(url) as first:
        in_hand = await receive_all(first, len(PLACES))
        async with open_source(url) as second:
            taken = await receive_any(second)
            # Each partition may come by itself.
            taken += await receive_all(second, await second.lag() - len(taken))
            assert taken
            await first.acknowledge(in_hand)
    # The second has handed nothing back but what it had.
    async with open_source(url) as third:
        again = await receive_all(third, len(taken))
    assert {one.place for one in again} == {one.place for one in taken}


async def test_an_old_acknowledgement_does_not_set_the_group_back(
    bootstrap: str, topic: str
) -> None:
    url = f"kafka://{bootstrap}/{topic}?partitions=1&group={topic}"
    await publish(url, page(1))
    async with open_source(url) as first:
        in_hand = await receive_all(first, len(PLACES))
    async with open_source(url) as second:
        await second.acknowledge(await receive_all(second, len(PLACES)))
    await publish(url, page(2))
    async with open_source(url) as third:
        assert len(await receive_all(third, len(PLACES))) == len(PLACES)
        await third.acknowledge(in_hand[:3])
        assert await third.lag() == len(PLACES)
    async with open_source(url) as fourth:
        found = await receive_all(fourth, len(PLACES))
    assert {one.event.version for one in found if one.event} == {2}


@pytest.mark.long
async def test_the_partitions_of_a_killed_consumer_are_taken_over(
    bootstrap: str, topic: str
) -> None:
    url = f"kafka://{bootstrap}/{topic}?partitions=6&group={topic}&session_timeout_seconds=2"
    load = asyncio.create_task(publish_all(url, 60, pause=0.05))
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), url, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    seen: list[tuple[str, int]] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        # To the end: what it was handed last, it may have acknowledged.
        async for line in child.stdout:
            subject, version = line.split()
            seen.append((subject.decode(), int(version)))
            if len(seen) == 300:
                child.send_signal(signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL
    journal = Journal()
    started = time.monotonic()
    async with member(url, journal):
        await journal.until(lambda: len(journal) >= 1)
        taken_over_after = time.monotonic() - started
        await load
        handed = {(str(place), version) for place in PLACES for version in range(1, 61)}
        await journal.until(lambda: handed <= {*seen, *pairs(journal)})
    assert taken_over_after < 30
    for versions in journal.versions().values():
        assert versions == list(range(versions[0], 61))


def pairs(journal: Journal) -> list[tuple[str, int]]:
    return [(subject, one) for subject, versions in journal.versions().items() for one in versions]


@pytest.mark.long
async def test_a_broker_killed_under_its_consumers_costs_nothing_but_delay(
    apache_kafka: ApacheKafka, topic: str
) -> None:
    url = f"kafka://{apache_kafka.address}/{topic}?partitions=6&group={topic}&timeout_seconds=3"
    journal = Journal()
    async with member(url, journal), member(url, journal):
        load = asyncio.create_task(publish_all(url, 120, pause=0.05))
        await journal.until(lambda: len(journal) >= 20 * len(PLACES))
        apache_kafka.kill()
        await asyncio.to_thread(apache_kafka.start)
        await load
        await journal.until(lambda: len(journal) >= 120 * len(PLACES))
    assert journal.versions() == expected(120)
