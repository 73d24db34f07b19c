from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from sfm_core.testing.proxy import TcpProxy

SOON = 0.1


@dataclass
class Echo:
    """A server that answers each line with the same line, and remembers what it got."""

    port: int = 0
    lines: list[bytes] = field(default_factory=list[bytes])
    hang_ups: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                self.lines.append(line)
                writer.write(line)
                await writer.drain()
        self.hang_ups += 1
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


class Client:
    """A connection that speaks in lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, line: bytes) -> None:
        self.writer.write(line)
        await self.writer.drain()

    async def ask(self, line: bytes) -> bytes:
        await self.send(line)
        return await self.reader.readline()

    async def silent(self) -> bool:
        """Tell whether nothing comes for a while."""
        try:
            async with asyncio.timeout(SOON):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    echo.port = server.sockets[0].getsockname()[1]
    yield echo
    server.close()
    # A task of the server's that has not begun would never be awaited.
    await asyncio.sleep(0)


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[TcpProxy]:
    async with TcpProxy("127.0.0.1", echo.port) as proxy:
        yield proxy


@pytest.fixture
async def clients(proxy: TcpProxy) -> AsyncIterator[list[Client]]:
    made = [Client(*await asyncio.open_connection(proxy.host, proxy.port)) for _ in range(2)]
    yield made
    for client in made:
        client.writer.close()
        with suppress(OSError):
            await client.writer.wait_closed()


@pytest.fixture
def client(clients: list[Client]) -> Client:
    return clients[0]


async def connect(proxy: TcpProxy) -> Client:
    return Client(*await asyncio.open_connection(proxy.host, proxy.port))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.001)


async def test_what_is_sent_arrives_both_ways(proxy: TcpProxy, clients: list[Client]) -> None:
    long = b"x" * 60_000 + b"\n"
    assert [await client.ask(long) for client in clients] == [long, long]
    assert proxy.requested_bytes == proxy.answered_bytes == 2 * len(long)
    assert proxy.accepted == 2


async def test_the_end_of_what_a_client_sends_is_carried(echo: Echo, client: Client) -> None:
    client.writer.write(b"last\n")
    client.writer.write_eof()
    assert await client.reader.read() == b"last\n"
    assert echo.hang_ups == 1


async def test_a_url_is_rewritten_with_its_login_path_and_query() -> None:
    async with TcpProxy.before("redis://me:secret@localhost:6379/3?prefix=p") as proxy:
        assert proxy.url == f"redis://me:secret@127.0.0.1:{proxy.port}/3?prefix=p"


@pytest.mark.parametrize("url", ["redis:", "redis://a:1,b:2", "redis://a", "unix:///s"])
async def test_a_url_without_one_host_and_a_port_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="one host and a port"):
        TcpProxy.before(url)


async def test_a_default_port_stands_in_for_a_missing_one(echo: Echo) -> None:
    async with TcpProxy.before("echo://localhost", default_port=echo.port) as proxy:
        client = await connect(proxy)
        assert await client.ask(b"hello\n") == b"hello\n"
        client.writer.close()


async def test_a_refusing_proxy_is_like_a_dead_server(proxy: TcpProxy, client: Client) -> None:
    await client.ask(b"before\n")
    await proxy.refuse()
    with pytest.raises(ConnectionResetError):
        await client.reader.read()
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)
    assert proxy.connections == 0


async def test_after_an_outage_it_listens_where_it_did(proxy: TcpProxy, client: Client) -> None:
    port = proxy.port
    for _ in range(2):
        await proxy.refuse()
        await proxy.refuse()
        await proxy.pass_through()
        again = await connect(proxy)
        assert await again.ask(b"again\n") == b"again\n"
        again.writer.close()
    assert proxy.port == port
    assert client.reader.at_eof() or client.reader.exception()


async def test_new_connections_can_be_reset_while_others_go_on(
    proxy: TcpProxy, client: Client
) -> None:
    await client.ask(b"before\n")
    proxy.reset_new()
    other = await connect(proxy)
    with pytest.raises(ConnectionResetError):
        await other.reader.read()
    other.writer.close()
    assert await client.ask(b"still\n") == b"still\n"


async def test_a_black_hole_accepts_and_answers_nobody(
    echo: Echo, proxy: TcpProxy, client: Client
) -> None:
    await client.ask(b"before\n")
    proxy.black_hole()
    other = await connect(proxy)
    for one in (client, other):
        await one.send(b"into the dark\n")
        assert await one.silent()
    assert echo.lines == [b"before\n"]
    other.writer.close()


async def test_what_a_black_hole_held_arrives_late(
    echo: Echo, proxy: TcpProxy, client: Client
) -> None:
    proxy.black_hole()
    await client.send(b"late\n")
    client.writer.close()
    assert echo.lines == []
    await proxy.pass_through()
    await until(lambda: echo.lines == [b"late\n"])


async def test_a_reset_loses_what_a_black_hole_held(
    echo: Echo, proxy: TcpProxy, client: Client
) -> None:
    proxy.black_hole()
    await client.send(b"lost\n")
    await proxy.reset_all()
    await proxy.pass_through()
    other = await connect(proxy)
    assert await other.ask(b"new\n") == b"new\n"
    assert echo.lines == [b"new\n"]
    other.writer.close()


@pytest.mark.parametrize("which", ["request", "answer"])
async def test_either_way_can_be_delayed(proxy: TcpProxy, client: Client, which: str) -> None:
    await client.ask(b"warm\n")
    proxy.delay(**{which: timedelta(seconds=SOON)})
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await client.send(b"one\n")
    await asyncio.sleep(0.01)
    assert await client.ask(b"two\n") == b"one\n"
    assert await client.reader.readline() == b"two\n"
    assert loop.time() - begun >= SOON


async def test_an_answer_can_be_cut(echo: Echo, proxy: TcpProxy, clients: list[Client]) -> None:
    cut, other = clients
    await cut.ask(b"before\n")
    proxy.cut_answers(after=3)
    await cut.send(b"abcdef\n")
    assert await cut.reader.read() == b"abc"
    assert echo.lines[-1] == b"abcdef\n"
    assert await other.ask(b"whole\n") == b"whole\n"


async def test_an_answer_can_be_cut_before_it_begins(
    echo: Echo, proxy: TcpProxy, client: Client
) -> None:
    proxy.cut_answers()
    await client.send(b"heard\n")
    assert await client.reader.read() == b""
    assert echo.lines == [b"heard\n"]


async def test_a_request_can_be_cut(echo: Echo, proxy: TcpProxy, client: Client) -> None:
    proxy.cut_requests(after=3)
    await client.send(b"abcdef\n")
    assert await client.reader.read() == b""
    await until(lambda: echo.hang_ups == 1)
    assert echo.lines == [b"abc"]


async def test_every_connection_can_be_cut(proxy: TcpProxy, clients: list[Client]) -> None:
    proxy.cut_answers(after=2, times=None)
    for client in clients:
        await client.send(b"abc\n")
        assert await client.reader.read() == b"ab"
    await proxy.pass_through()
    again = await connect(proxy)
    assert await again.ask(b"abc\n") == b"abc\n"
    again.writer.close()


async def test_bytes_are_counted_over_several_answers(proxy: TcpProxy, client: Client) -> None:
    proxy.cut_answers(after=6)
    assert await client.ask(b"abc\n") == b"abc\n"
    await client.send(b"def\n")
    assert await client.reader.read() == b"de"


async def test_a_server_that_is_not_there_resets_its_clients(echo: Echo) -> None:
    async with TcpProxy("127.0.0.1", 1) as proxy:
        client = await connect(proxy)
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
        client.writer.close()
    assert echo.lines == []


async def test_it_listens_where_it_is_told_to(echo: Echo, proxy: TcpProxy) -> None:
    port = proxy.port
    await proxy.__aexit__(None, None, None)
    async with TcpProxy("127.0.0.1", echo.port, own_port=port) as again:
        client = await connect(again)
        assert again.port == port
        assert await client.ask(b"hello\n") == b"hello\n"
        client.writer.close()


async def test_a_connection_that_is_reset_before_it_is_served_is_reset(proxy: TcpProxy) -> None:
    async def reset() -> None:
        while not proxy.accepted:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        await proxy.reset_all()

    # One of them has its turn between the connection and the task that serves it.
    resets = [asyncio.create_task(reset()) for _ in range(3)]
    client = await connect(proxy)
    await asyncio.gather(*resets)
    with suppress(OSError):
        assert await client.reader.read() == b""
    client.writer.close()
    # What is left open says so when it is collected.
    gc.collect()


async def test_closing_leaves_no_task_and_no_connection(echo: Echo) -> None:
    before = asyncio.all_tasks()
    async with TcpProxy("127.0.0.1", echo.port) as proxy:
        client = await connect(proxy)
        await client.ask(b"hello\n")
        proxy.black_hole()
        await client.send(b"held\n")
    await until(lambda: asyncio.all_tasks() == before)
    with pytest.raises(ConnectionResetError):
        await client.reader.read()
    client.writer.close()
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)
