"""Real brokers for the tests: one per session, and others that a test may kill."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from kafka_brokers import BOOTSTRAP_VARIABLE, ApacheKafka, Tansu, give_time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give Java the time that it takes to start on a busy machine."""
    give_time(items, "apache_kafka", "bootstrap")


@pytest.fixture(scope="session")
def tansu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tansu]:
    """Return a broker that needs nothing but Python, for the whole session."""
    broker = Tansu(tmp_path_factory.mktemp("tansu"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """Return Apache Kafka, for the whole session; who kills it starts it again."""
    broker = ApacheKafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def bootstrap(request: pytest.FixtureRequest) -> str:
    """Return the address of a whole Kafka: the one that was named, or Apache's."""
    given = os.environ.get(BOOTSTRAP_VARIABLE)  # noqa: TID251 - a test run is told of a service so
    if given:
        return given
    broker: ApacheKafka = request.getfixturevalue("apache_kafka")
    return broker.address


@pytest.fixture
def start_tansu(tmp_path: Path) -> Iterator[Callable[[], Tansu]]:
    """Return what starts brokers for one test."""
    started: list[Tansu] = []

    def start() -> Tansu:
        folder = tmp_path / f"tansu{len(started)}"
        folder.mkdir()
        broker = Tansu(folder)
        broker.start()
        started.append(broker)
        return broker

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
def topic() -> str:
    """Return a topic that no other test uses, so that a broker that was given is left as it is."""
    return f"test-{uuid4().hex}"
