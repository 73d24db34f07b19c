"""The servers of a benchmark, started as the tests start theirs, with nothing relaxed."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

# They lie beside the tests of the backends.
for _distribution in ("backend-postgres", "backend-redis", "eventing-kafka"):
    sys.path.append(str(Path(__file__).parent.parent / f"sfm-{_distribution}" / "tests"))

import redis_server  # noqa: E402
from kafka_brokers import ApacheKafka  # noqa: E402
from kafka_helpers import read as read_topic  # noqa: E402
from postgres_server import PostgresServer, make_database, wheel_binaries  # noqa: E402

__all__ = ["kafka_at", "make_database", "postgres_at", "read_topic", "redis_at"]

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


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
