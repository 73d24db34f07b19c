"""Runs tests in every mode, each with stores that no other test has written to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias, cast
from uuid import uuid4

import pytest
from fix_qdrant import Server as QdrantServer
from kafka_brokers import PASSWORD as KAFKA_PASSWORD
from kafka_brokers import USER as KAFKA_USER
from kafka_brokers import ApacheKafka, Tansu, give_time
from postgres_server import make_database
from redis_helpers import with_options

from tests.fix_services import PASSWORD, Certificates

# The engine without a server, where none is named: no package index has one. No test cuts the
# power, and waiting for the disk is most of the time that it takes.
QDRANT_ENGINE = "qdrant+edge:?durability=normal"
QDRANT_VARIABLE = "SFM_TEST_QDRANT_URL"

MODES = ("embedded", "test", "development", "evented_enterprise", "cloud_managed")
FORGETFUL = "test"

Variables: TypeAlias = dict[str, str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--mode",
        action="append",
        choices=MODES,
        help="run the tests of modes in this one only; may be repeated",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    named_otherwise = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "mode" not in metafunc.fixturenames or "mode" in named_otherwise:
        return
    wanted = cast("list[str] | None", metafunc.config.getoption("--mode")) or MODES
    if metafunc.definition.get_closest_marker("lasting") is not None:
        wanted = [mode for mode in wanted if mode != FORGETFUL]
    only = metafunc.definition.get_closest_marker("modes")
    metafunc.parametrize("mode", [mode for mode in wanted if not only or mode in only.args])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give Java the time that it takes to start on a busy machine."""
    give_time(items, "stores")


class Qdrant:
    """Vector stores that no other test has written to."""

    def __init__(self, folder: Path) -> None:
        url = os.environ.get(QDRANT_VARIABLE)  # noqa: TID251 - where a server is given
        self._server = QdrantServer(url, folder) if url else None

    def variables(self, *, secure: bool) -> Variables:
        """Return what a mode has to be told."""
        server = self._server
        if server is None or (secure and not server.url().startswith("qdrants:")):
            return {"SFM_VECTOR_URL": QDRANT_ENGINE}
        return {"QDRANT_URL": server.url(), **server.context.options}

    def clean(self) -> None:
        """Remove what was stored on a server that was given."""
        if self._server is not None:
            asyncio.run(self._server.clean())


class Stores:
    """The stores of the modes, whose servers start when the first mode wants them."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self.qdrant = Qdrant(folder)
        self._request = request

    def variables(self, mode: str) -> Variables:
        """Return the environment of a server in a mode, with new and empty stores."""
        # On a busy machine an index may follow later than a request would wait for it.
        chosen = {"MEMORY_MODE": mode, "SFM_INDEX_WAIT_SECONDS": "60"}
        match mode:
            case "development":
                served = self.redis() | self.plain_kafka()
                return chosen | served | self.qdrant.variables(secure=False)
            case "evented_enterprise":
                served = self.redis() | self.postgres() | self.kafka()
                return chosen | served | self.qdrant.variables(secure=False)
            case "cloud_managed":
                served = self.encrypted_redis() | self.encrypted_postgres()
                served |= self.encrypted_kafka()
                return chosen | served | self.qdrant.variables(secure=True)
            case _:
                return chosen

    def redis(self) -> Variables:
        """Return where there is an empty Redis."""
        return {"REDIS_URL": with_options(self._service("redis_session"), new_prefix())}

    def postgres(self) -> Variables:
        """Return where there is an empty PostgreSQL."""
        return {"POSTGRES_URL": make_database(self._service("postgres_session"))}

    def encrypted_redis(self) -> Variables:
        """Return where there is an empty Redis that takes nothing but TLS and a password."""
        options = f"{new_prefix()}&ca_file={self._trusted}"
        url = with_options(self._service("encrypted_redis_session"), options)
        return {"REDIS_URL": url, "REDIS_PASSWORD": PASSWORD}

    def encrypted_postgres(self) -> Variables:
        """Return where there is an empty PostgreSQL that takes nothing but TLS and a password."""
        return {
            "POSTGRES_URL": make_database(self._service("encrypted_postgres_session")),
            "POSTGRES_SSL_MODE": "verify-full",
            "POSTGRES_SSL_ROOT_CERT": str(self._trusted),
        }

    def plain_kafka(self) -> Variables:
        """Return where there is a broker that needs nothing but Python."""
        tansu = cast("Tansu", self._request.getfixturevalue("tansu"))
        # It does not know idempotent producers.
        return topic_at(tansu.address) | {"SFM_EVENTS_URL": "kafka:?idempotence=off"}

    def kafka(self) -> Variables:
        """Return where there is a whole Kafka."""
        return topic_at(self._service("bootstrap"))

    def encrypted_kafka(self) -> Variables:
        """Return where there is a Kafka that asks for a login, over TLS."""
        broker = cast("ApacheKafka", self._request.getfixturevalue("apache_kafka"))
        return topic_at(f"127.0.0.1:{broker.sasl_ssl_port}") | {
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": KAFKA_USER,
            "KAFKA_SASL_PASSWORD": KAFKA_PASSWORD,
            "KAFKA_SSL_CA_LOCATION": str(broker.ca_file),
        }

    @property
    def _trusted(self) -> Path:
        return cast("Certificates", self._request.getfixturevalue("certificates")).authority

    def _service(self, fixture: str) -> str:
        return cast("str", self._request.getfixturevalue(fixture))


def topic_at(brokers: str) -> Variables:
    """Return a topic that no other test uses."""
    topic = f"test-{uuid4().hex}"
    return {"KAFKA_BOOTSTRAP_SERVERS": brokers, "KAFKA_MEMORY_EVENTS_TOPIC": topic}


def new_prefix() -> str:
    return f"prefix=test-{uuid4().hex}"


@pytest.fixture(scope="session")
def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stores]:
    """The stores of every mode."""
    all_of_them = Stores(request, tmp_path_factory.mktemp("qdrant"))
    yield all_of_them
    all_of_them.qdrant.clean()
