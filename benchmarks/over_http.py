"""Measures a real server, from its start on, with many clients at once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.corpus import Corpus
from benchmarks.measuring import Results, summary
from sfm_core.testing.loopback import free_port

CLIENTS = 64
REQUESTS = 4000
PATIENCE_SECONDS = 60
_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Connection:
    """A client that costs little, because it shares the machine with what it measures."""

    def __init__(self, port: int) -> None:
        """Prepare to connect."""
        self._port = port

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def send(self, request: bytes) -> bytes:
        """Send a request and return the body of its answer.

        Args:
            request: The whole request.

        Returns:
            The body.

        Raises:
            RuntimeError: The server does not answer with success.
        """
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if b" 200 " not in head[:20]:
            raise RuntimeError(body.decode())
        return body

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def post(path: str, body: object) -> bytes:
    """Return a request with a JSON body."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content


async def measure_server(results: Results, data: Path, embedder: str, corpus: Corpus) -> None:
    """Start a server on a data folder, and measure it.

    Args:
        results: Where the figures go.
        data: A data folder that holds memories.
        embedder: URL of the embedder that they were stored with.
        corpus: Makes up more of them.
    """
    question = post("/recall", {"query": corpus.text(6), "namespace": "bench", "top_k": 10})
    begin = time.perf_counter()
    with server(data, embedder) as (process, port):
        await _first_answer(port, question)
        results.tell("from the start of the process to an answer", time.perf_counter() - begin, "s")
        connections = [Connection(port) for _ in range(CLIENTS)]
        for connection in connections:
            await connection.open()
        health = await _load(results, "GET /healthz", connections, [_HEALTH] * REQUESTS)
        stores = [
            post("/store", {"coord": f"-1,{n}", "payload": {"text": corpus.text(), "number": n}})
            for n in range(REQUESTS)
        ]
        rate = await _load(results, "POST /store", connections, stores)
        results.tell(f"POST /store, {CLIENTS} clients, beside /healthz", rate, "/s", raw=health)
        recalls = [
            post("/recall", {"query": text, "namespace": "bench", "top_k": 10})
            for text in corpus.questions(1000)
        ]
        rate = await _load(results, "POST /recall", connections, recalls)
        results.tell(f"POST /recall, {CLIENTS} clients, beside /healthz", rate, "/s", raw=health)
        memory = psutil.Process(process.pid).memory_info().rss / 1024**2
        results.tell("memory of the server", memory, "MiB")
        for connection in connections:
            connection.close()


@contextmanager
def server(data: Path, embedder: str) -> Generator[tuple[subprocess.Popen[bytes], int]]:
    """Start a server.

    Args:
        data: Its data folder, which is there.
        embedder: URL of its embedder.

    Yields:
        Its process, and the port that it will listen on.
    """
    port = free_port()
    command = [sys.executable, "-m", "sfm_server", "serve", "--port", str(port)]
    with subprocess.Popen(  # noqa: S603 - the command is the line above
        [*command, "--data", str(data)],
        cwd=data,
        # Requests are counted as ever, to a limit that is never reached.
        env={"SFM_EMBEDDER_URL": embedder, "SOMA_RATE_LIMIT_MAX": "1000000000"},
        stderr=subprocess.DEVNULL,
    ) as process:
        yield process, port
        process.terminate()


async def _first_answer(port: int, question: bytes) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(OSError):
                connection = Connection(port)
                await connection.open()
                await connection.send(question)
                connection.close()
                return
            await asyncio.sleep(0.005)


async def _load(
    results: Results, name: str, connections: list[Connection], requests: list[bytes]
) -> float:
    waiting = iter(requests)
    taken: list[float] = []

    async def client(connection: Connection) -> None:
        for request in waiting:
            start = time.perf_counter()
            await connection.send(request)
            taken.append(time.perf_counter() - start)

    begin, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client(connection) for connection in connections))
    elapsed, spent = time.perf_counter() - begin, time.process_time() - cpu
    times = summary(taken, elapsed=elapsed, cpu=spent)
    results.tell_times(f"{name}, {len(connections)} clients", times)
    return times.rate
