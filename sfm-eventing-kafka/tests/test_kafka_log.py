"""What is written to the log while no broker answers."""

from __future__ import annotations

import logging

import pytest

from sfm_core.errors import BackendUnavailableError
from sfm_eventing_kafka._log import OncePerOutage
from sfm_eventing_kafka.settings import KafkaSettings
from sfm_eventing_kafka.sink import KafkaEventSink


def said(message: str, *, at: float) -> logging.LogRecord:
    record = logging.makeLogRecord({"name": "aiokafka", "msg": "Unable %s", "args": (message,)})
    record.created = at
    return record


async def test_that_no_broker_answers_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async with KafkaEventSink(KafkaSettings(servers=("127.0.0.1:9",))) as sink:
        for _ in range(3):
            with pytest.raises(BackendUnavailableError):
                await sink.ping()

    unable = [one for one in caplog.records if "Unable connect" in one.getMessage()]
    assert len(unable) == 1


def test_the_next_outage_is_said_again() -> None:
    once = OncePerOutage()

    passed = [once.filter(said("to connect", at=at)) for at in (0.0, 60.0, 120.0, 300.0, 310.0)]

    assert passed == [True, False, False, True, False]


def test_other_trouble_and_other_records_pass() -> None:
    once = OncePerOutage()
    other = logging.makeLogRecord({"name": "aiokafka", "msg": "Got error"})

    assert once.filter(said("to reach one", at=0.0))
    assert once.filter(said("to reach another", at=0.0))
    assert once.filter(other)
    assert once.filter(other)
