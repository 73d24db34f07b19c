"""A purge lets go of dead letters, and says what the topics keep."""

from __future__ import annotations

import pytest
from kafka_helpers import open_sink, open_source

from sfm_core.protocols.source import Delivery, Rejection
from sfm_core.testing.samples import coordinate, event

WHY = Rejection(handler="webhook", code="corrupt-data", reason="no")
HERE, THERE = coordinate(1.0), coordinate(2.0)


@pytest.fixture
def url(bootstrap: str, topic: str) -> str:
    return f"kafka://{bootstrap}/{topic}?partitions=1&group={topic}&retention_seconds=172800"


async def test_letters_about_a_memory_go_and_others_stay(url: str, topic: str) -> None:
    events = [event("n", HERE, 1), event("n", HERE, 2), event("n", THERE, 1), event("m", HERE, 1)]
    async with open_source(url) as source, open_sink(url) as sink:
        for number, one in enumerate(events):
            await source.set_aside(Delivery(place=f"{topic}/0@{number}", event=one), WHY)
        left = await sink.scrub({"n": [HERE]})
        places = {letter.place for letter in await source.dead_letters(limit=10)}
    assert places == {f"{topic}/0@2", f"{topic}/0@3"}
    assert "2 days" in left
    assert f"{topic}.dlq" in left


async def test_where_nothing_was_ever_set_aside_there_is_nothing_to_do(url: str) -> None:
    async with open_sink(url) as sink:
        assert await sink.scrub({"n": [HERE]})
        assert await sink.scrub({"n": [HERE]})
