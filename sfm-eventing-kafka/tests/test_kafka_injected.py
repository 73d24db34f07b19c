"""Brokers that answer single requests with errors: order holds, and nothing is left out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kafka_helpers import open_sink, read_events
from kafka_mock import PRODUCE, MockBrokers, mock_brokers

from sfm_core.errors import SfmError
from sfm_core.testing.samples import coordinate, event

NOT_LEADER, NOT_ENOUGH_REPLICAS, LATE = 6, 19, 7
FORBIDDEN, OUT_OF_ORDER = 29, 45
# Each is larger than a batch, so that every event is a request of its own.
EVENTS = [event("n", coordinate(1.0), n, {"text": "x" * 200}) for n in range(1, 7)]


@pytest.fixture
def brokers() -> Iterator[MockBrokers]:
    with mock_brokers() as brokers:
        yield brokers


def url(brokers: MockBrokers, topic: str) -> str:
    brokers.create(topic, 1)
    return f"kafka://{brokers.address}/{topic}?batch_bytes=100&compression=none"


async def test_what_passes_is_tried_again_without_a_trace(brokers: MockBrokers, topic: str) -> None:
    async with open_sink(url(brokers, topic)) as sink:
        await sink.ping()
        brokers.answer(PRODUCE, [0, NOT_LEADER, NOT_ENOUGH_REPLICAS, 0, LATE, 0])
        await sink.publish(EVENTS)
    assert await read_events(brokers.address, topic) == EVENTS


@pytest.mark.parametrize("code", [FORBIDDEN, OUT_OF_ORDER])
async def test_a_batch_that_fails_stops_what_comes_after_it(
    brokers: MockBrokers, topic: str, code: int
) -> None:
    async with open_sink(url(brokers, topic)) as sink:
        await sink.ping()
        brokers.answer(PRODUCE, [0, 0, code])
        with pytest.raises(SfmError):
            await sink.publish(EVENTS)
        assert await read_events(brokers.address, topic) == EVENTS[:2]
        await sink.publish(EVENTS)
    assert await read_events(brokers.address, topic) == EVENTS


async def test_what_a_failed_call_published_is_published_again_by_a_later_one(
    brokers: MockBrokers, topic: str
) -> None:
    async with open_sink(url(brokers, topic)) as sink:
        await sink.ping()
        brokers.answer(PRODUCE, [0, 0, FORBIDDEN])
        with pytest.raises(SfmError):
            await sink.publish(EVENTS)
        await sink.publish(EVENTS)
        await sink.publish(EVENTS)
    assert await read_events(brokers.address, topic) == EVENTS * 2
