"""A truth, a broker behind a proxy, and the processes that a stream of events runs through."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest_asyncio
from kafka_brokers import ApacheKafka

from sfm_core.engine.assembly import open_engine
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots
from sfm_core.testing.proxy import TcpProxy
from tests.fix_modes import Stores

PROGRAMS = Path(__file__).parent / "stream"
MOMENTS = ("before", "halfway", "after")
PATIENCE_SECONDS = 300.0


class Stream:
    """A truth that some write to, a topic, and a replica that is built from it.

    Attributes:
        broker: Kafka itself.
        proxy: What stands before it; every client goes through it.
        topic: Where events are published.
        relays_killed: How many processes that published were killed so far.
        consumers_killed: How many that consumed.
    """

    def __init__(self, folder: Path, truth: str, broker: ApacheKafka, proxy: TcpProxy) -> None:
        self.broker = broker
        self.proxy = proxy
        self.topic = f"stream-{uuid4().hex}"
        self.relays_killed = 0
        self.consumers_killed = 0
        self._folder = folder
        self._truth = truth
        self._processes: set[Process] = set()

    @property
    def url(self) -> str:
        """The topic, as those who go through the proxy reach it."""
        return f"kafka://127.0.0.1:{self.proxy.port}/{self.topic}?partitions=4"

    async def write(self, seed: int, operations: int, over: asyncio.Event) -> None:
        """Have another process write so much, and then more until all is over."""
        given = (self._truth, str(seed), str(operations))
        writer = await self._start("writer", str(PROGRAMS / "writer_child.py"), *given)
        assert writer.stdin
        await over.wait()
        writer.stdin.close()
        assert await writer.wait() == 0, self.log("writer")

    async def publish_until_killed(self, call: int, moment: str) -> None:
        """Have another process publish, which dies at some point."""
        relay = await self.publish(str(call), moment)
        assert await relay.wait() == -signal.SIGKILL, self.log("relay")
        self.relays_killed += 1

    async def publish(self, *death: str) -> Process:
        """Start a process that publishes."""
        program = str(PROGRAMS / "relay_child.py")
        return await self._start("relay", program, self._truth, self.url, *death)

    async def consume(self) -> Process:
        """Start a consumer that builds the replica."""
        return await self._start("consumer", "-m", "sfm_server", "consumer")

    async def kill(self, process: Process) -> None:
        """Kill a consumer."""
        assert process.returncode is None, self.log("consumer")
        process.kill()
        await process.wait()
        self.consumers_killed += 1

    async def exported(self) -> list[bytes]:
        """Return what the truth holds, line by line."""
        return await self._export(self._truth)

    async def copied(self) -> list[bytes]:
        """Return what the replica holds, line by line."""
        return await self._export(self._replica)

    def log(self, name: str) -> str:
        """Return the end of what processes have said."""
        return (self._folder / f"{name}.log").read_text(encoding="utf-8")[-5000:]

    async def close(self) -> None:
        """End every process that is left."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @property
    def _replica(self) -> str:
        return f"sqlite:{self._folder / 'replica.db'}"

    async def _start(self, name: str, *arguments: str) -> Process:
        with (self._folder / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                cwd=self._folder,
                env=self._variables(),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self._processes.add(process)
        return process

    def _variables(self) -> dict[str, str]:
        return {
            "MEMORY_MODE": "embedded",
            "SFM_DATA_FOLDER": str(self._folder / "data"),
            "SFM_SOURCE_URL": f"{self.url}&group={self.topic}&session_timeout_seconds=6",
            "SFM_CONSUMER_HANDLERS": f"replica:{self._replica}",
            "CONSUMER_METRICS_PORT": "0",
        }

    async def _export(self, url: str) -> list[bytes]:
        slots = Slots(
            kv=url, vector="memory:", graph="memory:", cache="memory:", embedder="hashing:"
        )
        context = BackendContext(data_folder=self._folder)
        async with open_engine(
            slots=slots, registry=load_plugins().registry, context=context
        ) as engine:
            return [line async for line in engine.export()]


@pytest_asyncio.fixture
async def stream(
    apache_kafka: ApacheKafka, stores: Stores, tmp_path: Path
) -> AsyncIterator[Stream]:
    """A stream on a truth and a topic that only this test uses."""
    truth = stores.postgres()["POSTGRES_URL"]
    before = TcpProxy("127.0.0.1", apache_kafka.proxied_port, own_port=apache_kafka.proxy_port)
    async with before as proxy:
        one = Stream(tmp_path, truth, apache_kafka, proxy)
        yield one
        await one.close()
