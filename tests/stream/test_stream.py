"""A replica is built from the topic alone while everything around it is killed and cut."""

from __future__ import annotations

import asyncio
import random
from asyncio.subprocess import Process
from collections import defaultdict
from collections.abc import Sequence
from typing import cast

import pytest
from kafka_helpers import produce, read, read_events

from sfm_core.model.events import Event
from sfm_eventing_kafka._record import Record
from tests.fix_stream import MOMENTS, PATIENCE_SECONDS, Stream

WRITERS = 4
CONSUMERS = 2
LONG = 10_000
TROUBLES = ("kill", "kill", "cut", "cut", "repeat", "join")


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_replica_equals_the_truth_whatever_happens_to_the_stream(
    stream: Stream, pytestconfig: pytest.Config
) -> None:
    operations = cast("int", pytestconfig.getoption("--stream-operations"))
    seed = cast("int", pytestconfig.getoption("--stream-seed"))
    chances = random.Random(seed)
    deaths = 50 if operations >= LONG else 4
    outage = 30.0 if operations >= LONG else 2.0
    troubles = TROUBLES * 4 if operations >= LONG else TROUBLES
    consumers = [await stream.consume() for _ in range(CONSUMERS)]

    async with asyncio.TaskGroup() as writing:
        over = asyncio.Event()
        for writer in range(WRITERS):
            share = operations // WRITERS
            writing.create_task(stream.write(seed * WRITERS + writer, share, over))
        async with asyncio.TaskGroup() as group:
            group.create_task(publish_and_die(stream, chances, deaths))
            group.create_task(disturb(stream, chances, consumers, troubles, outage))
        over.set()
    await stream.publish()

    await same_in_the_end(stream)
    assert stream.relays_killed == deaths
    assert stream.consumers_killed
    assert stream.proxy.cuts
    in_order_without_gaps(await read_events(stream.broker.address, stream.topic))


async def publish_and_die(stream: Stream, chances: random.Random, deaths: int) -> None:
    """Kill one publishing process after the other, at points that the seed decides."""
    for _ in range(deaths):
        await stream.publish_until_killed(chances.randint(1, 4), chances.choice(MOMENTS))


async def disturb(
    stream: Stream,
    chances: random.Random,
    consumers: list[Process],
    troubles: Sequence[str],
    outage: float,
) -> None:
    """Kill consumers, cut connections, repeat events, and stop the broker for a while."""
    for trouble in [*chances.sample(troubles, len(troubles)), "outage"]:
        await asyncio.sleep(chances.uniform(0.2, 2))
        match trouble:
            case "kill":
                await stream.kill(consumers.pop(0))
                consumers.append(await stream.consume())
            case "join":
                consumers.append(await stream.consume())
            case "cut":
                stream.proxy.cut_answers(after=chances.randrange(200), times=3)
            case "repeat":
                await repeat(stream, chances)
            case _:
                await asyncio.to_thread(stream.broker.kill)
                await asyncio.sleep(outage)
                await asyncio.to_thread(stream.broker.start)


async def repeat(stream: Stream, chances: random.Random) -> None:
    """Put records on the topic once more, as they are, whoever has consumed them."""
    records = await read(stream.broker.address, stream.topic)
    again = chances.sample(records, min(len(records), 40))
    same = [Record(one.key, one.value, list(one.headers)) for one in again]
    await produce(stream.broker.address, stream.topic, *same)


async def same_in_the_end(stream: Stream) -> None:
    """Wait until the replica says what the truth says, line by line."""
    truth = await stream.exported()
    copy: list[bytes] = []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (copy := await stream.copied()) != truth:  # noqa: ASYNC110 - nobody here is told
                await asyncio.sleep(0.5)
    except TimeoutError:
        pytest.fail(f"{difference(truth, copy)}\n{stream.log('consumer')}\n{stream.log('relay')}")


def difference(truth: Sequence[bytes], copy: Sequence[bytes]) -> str:
    missing = [line for line in truth if line not in copy]
    more = [line for line in copy if line not in truth]
    counts = f"{len(missing)} of {len(truth)} lines are missing, {len(more)} are others"
    return f"{counts}: {missing[:3]} {more[:3]}"


def in_order_without_gaps(events: Sequence[Event]) -> None:
    """See that what comes for the first time is always the next version, and none is left out."""
    first: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event in events:
        versions = first[event.source, event.subject]
        if event.version not in versions:
            versions.append(event.version)
    assert first
    for subject, versions in first.items():
        assert versions == list(range(1, len(versions) + 1)), (subject, versions)
