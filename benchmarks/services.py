"""The servers of a benchmark, started as the tests start theirs, with nothing relaxed."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

# They lie beside the tests of the backends.
for _distribution in ("backend-postgres", "backend-redis", "eventing-kafka"):
    sys.path.append(str(Path(__file__).parent.parent / f"sfm-{_distribution}" / "tests"))

import redis_server  # noqa: E402
from kafka_brokers import ApacheKafka  # noqa: E402
from kafka_helpers import read as read_topic  # noqa: E402
from postgres_server import PostgresServer, make_database, wheel_binaries  # noqa: E402

__all__ = [
    "Service",
    "interruptible",
    "kafka_at",
    "make_database",
    "postgres_at",
    "read_topic",
    "redis_at",
]

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


class Service(Protocol):
    """A server that can be killed and started again."""

    def start(self) -> None:
        """Start it, and wait until it answers."""
        ...

    def kill(self) -> None:
        """End it as a crash would."""
        ...


@contextmanager
def interruptible(folder: Path) -> Generator[tuple[dict[str, str], dict[str, Service]]]:
    """Start PostgreSQL, Valkey and Apache Kafka.

    Args:
        folder: Where they keep their data.

    Yields:
        What a server has to be told to use them; and the services by name.
    """
    for name in ("postgres", "redis", "kafka"):
        (folder / name).mkdir()
    postgres = PostgresServer(folder / "postgres", wheel_binaries())
    redis = redis_server.Server(folder / "redis", ALWAYS)
    kafka = ApacheKafka(folder / "kafka")
    with ExitStack() as stack:
        for service, end in (
            (postgres, postgres.discard),
            (redis, redis.stop),
            (kafka, kafka.stop),
        ):
            stack.callback(end)
            service.start()
        variables = {
            "POSTGRES_URL": make_database(postgres.url),
            "REDIS_URL": redis.url,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.address,
        }
        yield variables, {"postgres": postgres, "redis": redis, "kafka": kafka}


@contextmanager
def redis_at(folder: Path) -> Generator[str]:
    """Start a Valkey that has each write on its disk before it answers.

    Args:
        folder: A folder that is not there yet.

    Yields:
        Its URL.
    """
    folder.mkdir()
    server = redis_server.Server(folder, ALWAYS)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def postgres_at(folder: Path) -> Generator[str]:
    """Start a PostgreSQL.

    Args:
        folder: A folder that is not there yet.

    Yields:
        URL of its administration database.
    """
    folder.mkdir()
    server = PostgresServer(folder, wheel_binaries())
    server.start()
    try:
        yield server.url
    finally:
        server.discard()


@contextmanager
def kafka_at(folder: Path) -> Generator[str]:
    """Start Apache Kafka.

    Args:
        folder: A folder that is not there yet.

    Yields:
        Its address.
    """
    folder.mkdir()
    broker = ApacheKafka(folder)
    broker.start()
    try:
        yield broker.address
    finally:
        broker.stop()
