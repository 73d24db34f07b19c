"""The processes that `docker compose up` starts, without an engine.

What runs, and with which variables, is what Compose makes of the file; ours are processes of the
image. Names of hosts become this machine, and ports free ones. PostgreSQL is that of a wheel,
Valkey stands for Redis, and Apache Kafka for Redpanda. No package has the server of Qdrant, and
its engine without a server belongs to one process, while the four workers and the consumer of the
file share their vectors: SQLite stands for it, or the server that `SFM_TEST_QDRANT_URL` names.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias, cast

import httpx
import psycopg
from kafka_brokers import ApacheKafka
from postgres_server import PostgresServer, wheel_binaries
from redis_server import Server as RedisServer

from sfm_core.testing.loopback import free_port
from tests.compose_file import Model, rendered
from tests.fix_modes import Qdrant
from tests.image_tree import Container

HERE = "127.0.0.1"

Answer: TypeAlias = Mapping[str, Any]


class Services:
    """What ours need, with the data of each in a folder that stands for its volume."""

    def __init__(self, model: Model, volumes: Path) -> None:
        folders = {name: volumes / name for name in ("redis", "postgres", "redpanda")}
        for folder in folders.values():
            folder.mkdir()
        services = model["services"]
        # The first word is the program, which has another name here.
        options = cast("Sequence[str]", services["redis"]["command"])[1:]
        self.redis = RedisServer(folders["redis"], tuple(options))
        self.kafka = ApacheKafka(folders["redpanda"])
        chosen = cast("Mapping[str, str]", services["postgres"]["environment"])
        assert chosen["POSTGRES_USER"] == "postgres"
        password = chosen["POSTGRES_PASSWORD"]
        self.postgres = PostgresServer(folders["postgres"], wheel_binaries(), password=password)
        self._database = chosen["POSTGRES_DB"]

    def start(self) -> None:
        """Start each and wait until it is well."""
        self.redis.start()
        self.postgres.start()
        self._make_database()
        self.kafka.start()

    def stop(self) -> None:
        """Stop each; what it has written stays."""
        self.kafka.stop()
        self.postgres.stop()
        self.redis.stop()

    def reached(self, said: Mapping[str, str]) -> dict[str, str]:
        """Return variables that name them, with their places here for those in the network."""
        url = said["POSTGRES_URL"].replace("@postgres:5433/", f"@{HERE}:{self.postgres.port}/")
        assert (said["REDIS_HOST"], said["REDIS_PORT"]) == ("redis", "6379")
        assert said["KAFKA_BOOTSTRAP_SERVERS"] == "redpanda:9092"
        assert url != said["POSTGRES_URL"]
        return {
            **said,
            "REDIS_HOST": HERE,
            "REDIS_PORT": str(self.redis.port),
            "POSTGRES_URL": url,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.address,
        }

    def _make_database(self) -> None:
        with psycopg.connect(self.postgres.url, autocommit=True) as admin:
            found = "SELECT FROM pg_database WHERE datname = %s"
            if not admin.execute(found, [self._database]).fetchall():
                admin.execute(f"CREATE DATABASE {self._database}".encode())


class Stack:
    """API, consumer and what they need, as `docker compose` would start and stop them.

    Attributes:
        checkout: The folder with the compose file and `.env`.
        url: Where the API is.
        consumer_url: Where the consumer tells how it is.
    """

    def __init__(self, checkout: Path, tree: Path, volumes: Path) -> None:
        self.checkout = checkout
        self._programs = tree / "bin"
        self._tree = tree
        self._volumes = volumes
        self._data = volumes / "sfm_data"
        self._data.mkdir()
        self._ports = {"SFM_PORT": str(free_port()), "CONSUMER_METRICS_PORT": str(free_port())}
        self.url = f"http://{HERE}:{self._ports['SFM_PORT']}"
        self.consumer_url = f"http://{HERE}:{self._ports['CONSUMER_METRICS_PORT']}"
        self._services = Services(rendered(checkout), volumes)
        self._qdrant = Qdrant(volumes)
        found = self._qdrant.variables(secure=False)
        self._vectors = found if "QDRANT_URL" in found else {"SFM_VECTOR_URL": "sqlite:vectors.db"}
        self._ours: list[Container] = []

    @property
    def programs(self) -> Path:
        """Folder of the program `sfm`."""
        return self._programs

    @property
    def client(self) -> httpx.Client:
        """A client of the API."""
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def up(self, **environ: str) -> None:
        """Do what `docker compose up -d` does, with some variables of the command."""
        services = rendered(self.checkout, **environ)["services"]
        self._services.start()
        for name in ("api", "consumer"):
            container = self._container(name, services[name])
            self._ours.append(container)
            container.start()

    def down(self) -> None:
        """Do what `docker compose down` does: the volumes stay."""
        for container in reversed(self._ours):
            container.stop()
        self._ours.clear()
        self._services.stop()

    def restart(self) -> None:
        """Do what `docker compose restart api consumer` does."""
        for container in self._ours:
            container.stop()
            container.start()

    def close(self) -> None:
        """See that nothing of it is left."""
        with ExitStack() as stack:
            stack.callback(self._qdrant.clean)
            stack.callback(self._services.stop)
            for container in self._ours:
                stack.callback(container.close)

    def sfm(self, *arguments: str) -> Answer:
        """Run a command of the image on the API, and return what it answers."""
        done = subprocess.run(
            [self._programs / "sfm", *arguments, "--url", self.url, "--json"],
            env={},
            cwd=self.checkout,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        answer: Answer = json.loads(done.stdout)
        return answer

    def figure(self, name: str) -> float:
        """Return one of the consumer's figures, which begin anew when it starts."""
        told = httpx.get(f"{self.consumer_url}/metrics", timeout=60, trust_env=False).text
        return sum(float(line.split()[-1]) for line in told.splitlines() if line.startswith(name))

    def _container(self, name: str, service: Model) -> Container:
        assert service["healthcheck"]["test"][0] == "CMD"
        data = {"SFM_DATA_FOLDER": str(self._data)}
        return Container(
            self._tree,
            self._data,
            self._volumes / f"{name}.log",
            environ=self._services.reached(service["environment"])
            | self._ports
            | self._vectors
            | data,
            arguments=service["command"],
            probe=service["healthcheck"]["test"][1:],
        )
