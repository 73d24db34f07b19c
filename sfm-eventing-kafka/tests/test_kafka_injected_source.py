"""Brokers that answer a consumer's requests with errors: nothing is left out, nothing goes back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import pytest_asyncio
from kafka_helpers import open_source, publish, receive_all
from kafka_mock import (
    COMMIT,
    COMMITTED,
    FETCH,
    FIND_COORDINATOR,
    HEARTBEAT,
    JOIN,
    LIST_OFFSETS,
    SYNC,
    MockBrokers,
    mock_brokers,
)

from sfm_core.errors import BackendUnavailableError, ConfigurationError
from sfm_core.protocols.source import Delivery
from sfm_core.testing.samples import coordinate, event
from sfm_eventing_kafka.source import KafkaEventSource

OUT_OF_RANGE, NOT_LEADER, LATE, LOADING, NOWHERE, ELSEWHERE = 1, 6, 7, 14, 15, 16
GENERATION, OTHER_PROTOCOL, UNKNOWN_MEMBER, REBALANCING, FORBIDDEN = 22, 23, 25, 27, 30
EVENTS = [event("n", coordinate(1.0), version) for version in range(1, 7)]
# For how many seconds brokers wait for a member: for longer than a busy machine holds one up,
# except where they wait in vain for one that has joined again under another name.
LONG, SHORT = 30, 3


@pytest.fixture
def brokers() -> Iterator[MockBrokers]:
    with mock_brokers() as brokers:
        yield brokers


@pytest.fixture
def session() -> int:
    return LONG


@pytest_asyncio.fixture
async def url(brokers: MockBrokers, topic: str, session: int) -> str:
    brokers.create(topic, 1)
    url = f"kafka://{brokers.address}/{topic}?group={topic}&session_timeout_seconds={session}"
    await publish(url, EVENTS)
    return url


@pytest_asyncio.fixture
async def source(url: str) -> AsyncIterator[KafkaEventSource]:
    async with open_source(url) as source:
        yield source


async def insist(source: KafkaEventSource, deliveries: list[Delivery]) -> None:
    for _ in range(5):
        try:
            await source.acknowledge(deliveries)
        except BackendUnavailableError:
            continue
        return
    raise AssertionError("it was never acknowledged")


@pytest.mark.parametrize(
    ("request_", "codes", "session"),
    [
        (FIND_COORDINATOR, [NOWHERE, LOADING], LONG),
        (JOIN, [LOADING, UNKNOWN_MEMBER, ELSEWHERE], LONG),
        (SYNC, [REBALANCING], SHORT),
        (COMMITTED, [LOADING, ELSEWHERE], LONG),
        (LIST_OFFSETS, [NOT_LEADER], LONG),
        (FETCH, [NOT_LEADER, LATE], LONG),
    ],
)
async def test_what_passes_while_it_begins_is_tried_again_without_a_trace(
    brokers: MockBrokers, source: KafkaEventSource, request_: int, codes: list[int]
) -> None:
    brokers.answer(request_, codes)
    found = await receive_all(source, len(EVENTS))
    assert [one.event for one in found] == EVENTS


@pytest.mark.parametrize("session", [1])
@pytest.mark.parametrize(
    "codes", [[ELSEWHERE, LOADING, LATE], [GENERATION], [UNKNOWN_MEMBER], [REBALANCING]]
)
async def test_what_could_not_be_noted_at_once_is_noted(
    brokers: MockBrokers, source: KafkaEventSource, codes: list[int]
) -> None:
    found = await receive_all(source, len(EVENTS))
    brokers.answer(COMMIT, codes)
    await insist(source, found[:4])
    assert await source.lag() == 2


@pytest.mark.parametrize("session", [SHORT])
async def test_a_member_that_the_group_has_let_go_joins_again(
    brokers: MockBrokers, source: KafkaEventSource
) -> None:
    found = await receive_all(source, len(EVENTS))
    await source.acknowledge(found[:4])
    brokers.answer(HEARTBEAT, [UNKNOWN_MEMBER])
    assert [one.event for one in await receive_all(source, 2)] == EVENTS[4:]


@pytest.mark.parametrize("code", [FORBIDDEN, OTHER_PROTOCOL])
async def test_a_group_that_refuses_a_member_is_named(
    brokers: MockBrokers, source: KafkaEventSource, code: int
) -> None:
    brokers.answer(JOIN, [code])
    with pytest.raises(ConfigurationError) as caught:
        await receive_all(source, 1)
    assert caught.value.setting == "KAFKA_CONSUMER_GROUP"
    # When it has been mended, a later call goes on.
    assert [one.event for one in await receive_all(source, len(EVENTS))] == EVENTS


async def test_a_topic_that_was_cut_short_is_read_from_its_beginning_and_reported(
    brokers: MockBrokers, source: KafkaEventSource, caplog: pytest.LogCaptureFixture
) -> None:
    await source.acknowledge(await receive_all(source, len(EVENTS)))
    brokers.answer(FETCH, [OUT_OF_RANGE] * 3)
    with caplog.at_level(logging.ERROR, "sfm_eventing_kafka"):
        found = await receive_all(source, len(EVENTS))
    assert [one.event for one in found] == EVENTS
    assert "beyond the end" in caplog.text
    await source.acknowledge(found)
    assert await source.receive(limit=1, wait=timedelta(seconds=0.2)) == []
