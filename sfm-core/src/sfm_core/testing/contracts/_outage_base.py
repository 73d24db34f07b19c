"""What every port promises in an outage of its server."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import ClassVar

import pytest
import pytest_asyncio

from sfm_core.errors import BackendUnavailableError
from sfm_core.testing.contracts._base import BackendContract, BackendT, Operation
from sfm_core.testing.proxy import TcpProxy

_CUTS = 12
_PAUSE_SECONDS = 0.02


class OutageTests(BackendContract[BackendT]):
    """Tests with a proxy before the server; override `server_url` and `connect`.

    Attributes:
        deadline: By when every call must have failed while the server is silent.
            Give your backend time-outs that are a good deal shorter.
        default_port: Where the server listens if its URL does not say.
        slowness: How much later everything arrives, both ways, on a network
            that is slow and no more than that.
    """

    deadline: ClassVar[timedelta] = timedelta(seconds=10)
    default_port: ClassVar[int | None] = None
    slowness: ClassVar[timedelta] = timedelta(milliseconds=20)

    @pytest.fixture
    def server_url(self) -> str:
        """Return the URL of a server, under which there are no data; the subclass gives it.

        Raises:
            NotImplementedError: The subclass does not say where.
        """
        raise NotImplementedError("Override the fixture `server_url` in your subclass.")

    @pytest.fixture
    def connect(self) -> Callable[[str], BackendT]:
        """Return what makes a backend for a URL, not open yet; the subclass gives it.

        Raises:
            NotImplementedError: The subclass does not say how.
        """
        raise NotImplementedError("Override the fixture `connect` in your subclass.")

    @pytest_asyncio.fixture
    async def proxy(self, server_url: str) -> AsyncIterator[TcpProxy]:
        """Return a proxy before the server."""
        async with TcpProxy.before(server_url, default_port=self.default_port) as proxy:
            yield proxy

    @pytest.fixture
    def make(self, connect: Callable[[str], BackendT], proxy: TcpProxy) -> Callable[[], BackendT]:
        """Return what makes backends that reach the server through the proxy."""
        return lambda: connect(proxy.url)

    @pytest_asyncio.fixture
    async def backend(self, make: Callable[[], BackendT]) -> AsyncIterator[BackendT]:
        """Return an open backend behind the proxy."""
        async with make() as backend:
            await self.prepare(backend)
            yield backend

    @pytest_asyncio.fixture
    async def beside(
        self, connect: Callable[[str], BackendT], server_url: str, backend: BackendT
    ) -> AsyncIterator[BackendT]:
        """Return another one, which is spared the outages."""
        assert backend is not None
        async with connect(server_url) as beside:
            yield beside

    async def prepare(self, backend: BackendT) -> None:
        """Do what must be done before the first call."""

    async def calls(self, backend: BackendT) -> Sequence[Operation]:
        """Return one call of every method, none of which can succeed without the server."""
        return self.operations(backend)

    @abstractmethod
    async def write(self, backend: BackendT, number: int, *, again: bool) -> None:
        """Write something that is known by its number.

        Args:
            backend: Where to.
            number: Which one.
            again: Whether it may be there already.
        """

    @abstractmethod
    async def check(self, backend: BackendT, count: int) -> None:
        """Assert that what was written is there, each of it once, and nothing else.

        Args:
            backend: Where to look.
            count: It was written with every number below this.
        """

    @abstractmethod
    async def read(self, backend: BackendT) -> object:
        """Return what was written under the number 0, in a form that can be compared."""

    async def test_a_server_that_refuses_is_unavailable(
        self, make: Callable[[], BackendT], proxy: TcpProxy
    ) -> None:
        """Opening says so, or the first `ping` does where opening asks nobody."""
        await proxy.refuse()
        await self._cannot_be_used(make())

    async def test_a_server_that_hangs_up_at_once_is_unavailable(
        self, make: Callable[[], BackendT], proxy: TcpProxy
    ) -> None:
        """As one behind a load balancer does that has nobody left to send it to."""
        proxy.reset_new()
        await self._cannot_be_used(make())

    async def test_a_silent_server_is_given_up_in_time(
        self, make: Callable[[], BackendT], proxy: TcpProxy
    ) -> None:
        """A connection that is accepted and never answered does not hang the start."""
        proxy.black_hole()
        await self._cannot_be_used(make())

    async def test_every_call_fails_in_time_while_nothing_arrives(
        self, backend: BackendT, proxy: TcpProxy
    ) -> None:
        """Also on connections that were open before, of which nobody was told."""
        calls = await self.calls(backend)
        proxy.black_hole()
        await self._all_fail(calls)

    async def test_every_call_fails_while_nobody_listens(
        self, backend: BackendT, proxy: TcpProxy
    ) -> None:
        """With the error of an outage: no empty answer, no error of the driver."""
        calls = await self.calls(backend)
        await proxy.refuse()
        await self._all_fail(calls)

    async def test_closing_does_not_wait_for_a_silent_server(
        self, make: Callable[[], BackendT], proxy: TcpProxy
    ) -> None:
        """Nor does it raise: there is nothing left to save."""
        backend = make()
        await backend.__aenter__()
        await self.prepare(backend)
        proxy.black_hole()
        async with self._limit():
            await backend.__aexit__(None, None, None)

    @pytest.mark.parametrize("outage", ["refused", "silent", "reset"])
    async def test_it_works_again_after(
        self, backend: BackendT, beside: BackendT, proxy: TcpProxy, outage: str
    ) -> None:
        """Without being opened again, and with what was written before."""
        await self.write(backend, 0, again=False)
        if outage == "refused":
            await proxy.refuse()
        elif outage == "silent":
            proxy.black_hole()
        if outage == "reset":
            await proxy.reset_all()
        else:
            await self._all_fail([partial(self.read, backend)])
        await proxy.pass_through()
        await self.insist(lambda: self.write(backend, 1, again=True))
        for call in await self.calls(beside):
            await call()
        await self.insist(lambda: self.read(backend))

    async def test_a_slow_network_is_no_outage(
        self, make: Callable[[], BackendT], proxy: TcpProxy
    ) -> None:
        """What takes its time is waited for, within the time-out."""
        proxy.delay(request=self.slowness, answer=self.slowness)
        async with make() as backend:
            await self.prepare(backend)
            for call in await self.calls(backend):
                await call()

    async def test_a_cancelled_call_ends_and_leaves_it_usable(
        self, backend: BackendT, proxy: TcpProxy
    ) -> None:
        """Whoever stops waiting is let go, and the connection is not used half-read."""
        await self.write(backend, 0, again=False)
        expected = await self.read(backend)
        for call in await self.calls(backend):
            proxy.black_hole()
            task = asyncio.ensure_future(call())
            await asyncio.sleep(_PAUSE_SECONDS)
            task.cancel()
            async with self._limit():
                with pytest.raises((asyncio.CancelledError, BackendUnavailableError)):
                    await task
            # What was asked is answered now, to whoever listens on that connection.
            await proxy.pass_through()
        await self.insist(lambda: self.write(backend, 0, again=True))
        assert await self.insist(lambda: self.read(backend)) == expected

    @pytest.mark.parametrize("way", ["requests", "answers"])
    async def test_a_write_that_is_cut_anywhere_can_be_repeated(
        self, backend: BackendT, beside: BackendT, proxy: TcpProxy, way: str
    ) -> None:
        """It happened as a whole or not at all, and a second time changes nothing."""
        await self.write(backend, 0, again=False)
        # Drivers say less on a connection that is not new, so all that follow are as old.
        await proxy.reset_all()
        await self.insist(lambda: self.write(backend, 0, again=True))
        cuts = await self._cuts(proxy, way, lambda: self.write(backend, 1, again=False))
        for number, after in enumerate(cuts, start=2):
            self._cut(proxy, way, after)
            async with self._limit():
                with suppress(BackendUnavailableError):
                    await self.write(backend, number, again=False)
            await proxy.pass_through()
            await self.insist(partial(self.write, backend, number, again=True))
        assert proxy.cuts
        await self.check(beside, len(cuts) + 2)

    async def test_an_answer_that_is_cut_anywhere_is_not_taken_for_a_whole_one(
        self, backend: BackendT, proxy: TcpProxy
    ) -> None:
        """What is read is right, or it is an error: never less than there is."""
        await self.write(backend, 0, again=False)
        expected = await self.read(backend)
        for after in await self._cuts(proxy, "answers", lambda: self.read(backend)):
            proxy.cut_answers(after=after)
            async with self._limit():
                with suppress(BackendUnavailableError):
                    assert await self.read(backend) == expected
            await proxy.pass_through()
            assert await self.insist(lambda: self.read(backend)) == expected
        assert proxy.cuts

    async def insist(self, operation: Operation) -> object:
        """Repeat a call until it succeeds, which it must do before the deadline.

        Args:
            operation: What to call.

        Returns:
            What it returned.
        """
        async with self._limit():
            while True:
                try:
                    return await operation()
                except BackendUnavailableError:
                    await asyncio.sleep(_PAUSE_SECONDS)

    async def _cannot_be_used(self, backend: BackendT) -> None:
        async with self._limit():
            with pytest.raises(BackendUnavailableError):
                async with backend:
                    await backend.ping()

    async def _all_fail(self, calls: Sequence[Operation]) -> None:
        async with self._limit():
            results = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
        assert [
            result for result in results if not isinstance(result, BackendUnavailableError)
        ] == []

    async def _cuts(self, proxy: TcpProxy, way: str, call: Operation) -> list[int]:
        """Return after how many bytes to cut, from before the first to just before the last."""
        before = self._carried(proxy, way)
        await call()
        size = self._carried(proxy, way) - before
        return sorted({place * (size - 1) // (_CUTS - 1) for place in range(_CUTS)})

    def _carried(self, proxy: TcpProxy, way: str) -> int:
        return proxy.requested_bytes if way == "requests" else proxy.answered_bytes

    def _cut(self, proxy: TcpProxy, way: str, after: int) -> None:
        if way == "requests":
            proxy.cut_requests(after=after)
        else:
            proxy.cut_answers(after=after)

    def _limit(self) -> asyncio.Timeout:
        return asyncio.timeout(self.deadline.total_seconds())
