"""Webhooks: each event arrives signed and in order, and what does not arrive is told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from fix_consuming import ConsumerProcess
from starlette.responses import Response, StreamingResponse
from webhook_receiver import Receiver, failing_first, serving

from sfm_core.errors import ClosedError, ConfigurationError, SfmError
from sfm_core.handling import FollowedMemory, HandlerContext
from sfm_core.model.events import Event
from sfm_core.plugins import load_plugins
from sfm_core.protocols.handler import EventHandler
from sfm_core.registry import NO_OPTIONS, BackendContext
from sfm_core.settings import EngineSettings
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.contracts import EventHandlerContract
from sfm_core.testing.event_samples import memory_deleted, memory_stored
from sfm_core.testing.proxy import TcpProxy
from sfm_core.testing.samples import coordinate
from sfm_server.webhook.handler import CONCURRENCY, LONGEST_PAUSE, WebhookHandler

SECRET = base64.b64encode(b"a secret for the tests, no more").decode()
OTHER = base64.b64encode(b"another secret for the tests...").decode()
NS = "default"
A, B = coordinate(1.0), coordinate(2.0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def url(receiver: Receiver) -> AsyncIterator[str]:
    async with serving(receiver) as address:
        yield address


def nowhere() -> AbstractAsyncContextManager[FollowedMemory]:
    raise AssertionError


def webhook(
    url: str, clock: ManualClock, options: Mapping[str, str] = NO_OPTIONS, *, secure: bool = False
) -> EventHandler:
    """Make a handler the way that a consumer does."""
    plugins = load_plugins()
    variables = {"SFM_WEBHOOK_SECRET": f"whsec_{SECRET}", **options}
    context = HandlerContext(
        backends=BackendContext(
            data_folder=Path("unused"), clock=clock, options=variables, secure=secure
        ),
        registry=plugins.registry,
        settings=EngineSettings(),
        open_memory=nowhere,
    )
    address = f"webhook+{url}"
    return plugins.handlers.find(address).factory(address, context)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that a server in this loop brings about."""
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - nobody here is told
            await asyncio.sleep(0.001)


async def soon(clock: ManualClock, work: Awaitable[list[SfmError | None]]) -> list[SfmError | None]:
    """Wait for a batch while time passes for whoever pauses."""
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0.001)
        await clock.advance(LONGEST_PAUSE)
    return await task


class TestDelivery:
    async def test_an_event_is_posted_as_it_is(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        events = [memory_stored(NS, A, 1, {"text": "caf\u00e9"}), memory_deleted("a b", B)]
        async with webhook(f"{url}/hook?x=1", clock) as handler:
            assert await handler.handle(events) == [None, None]
        assert sorted(receiver.taken, key=lambda one: one.subject) == events
        [sent] = [one for one in receiver.requests if one.event == events[0]]
        assert sent.headers["content-type"] == "application/cloudevents+json; charset=utf-8"

    async def test_it_is_signed_with_every_secret(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        secrets = f"whsec_{SECRET}, whsec_{OTHER}"
        async with webhook(url, clock, {"SFM_WEBHOOK_SECRET": secrets}) as handler:
            await handler.handle([memory_stored(NS, A)])
        [sent] = receiver.requests
        moment = str(int(clock.now().timestamp()))
        assert sent.headers["webhook-id"] == sent.event.id
        assert sent.headers["webhook-timestamp"] == moment
        signed = f"{sent.event.id}.{moment}.".encode() + sent.body
        expected = [
            hmac.new(base64.b64decode(secret), signed, hashlib.sha256).digest()
            for secret in (SECRET, OTHER)
        ]
        told = [one.removeprefix("v1,") for one in sent.headers["webhook-signature"].split()]
        assert [base64.b64decode(one) for one in told] == expected

    async def test_a_name_and_a_password_in_the_url_log_in(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        named = url.replace("//", "//me:hush@")
        async with webhook(named, clock) as handler:
            await handler.handle([memory_stored(NS, A)])
        token = base64.b64encode(b"me:hush").decode()
        assert receiver.requests[0].headers["authorization"] == f"Basic {token}"


class TestOrder:
    async def test_versions_of_a_memory_are_taken_in_order_whatever_fails(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        receiver.behave = failing_first(500, times=2)
        events = [memory_stored(NS, where, v) for v in range(1, 6) for where in (A, B)]
        async with webhook(url, clock) as handler:
            assert await soon(clock, handler.handle(events)) == [None] * 10
        assert receiver.versions == {"1": [1, 2, 3, 4, 5], "2": [1, 2, 3, 4, 5]}

    async def test_a_memory_that_is_slow_does_not_hold_up_the_others(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        gate = asyncio.Event()

        async def behave(event: Event, times: int) -> Response | None:  # noqa: ARG001
            if event.subject == "1":
                await gate.wait()
            return None

        receiver.behave = behave
        events = [memory_stored(NS, where, v) for v in (1, 2) for where in (A, B)]
        async with webhook(url, clock) as handler:
            work = asyncio.ensure_future(handler.handle(events))
            await until(lambda: receiver.versions.get("2") == [1, 2])
            assert "1" not in receiver.versions
            gate.set()
            assert await work == [None] * 4

    async def test_no_more_than_some_are_under_way_at_once(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        async def behave(event: Event, times: int) -> Response | None:  # noqa: ARG001
            await until(lambda: receiver.busiest >= CONCURRENCY)
            return None

        receiver.behave = behave
        events = [memory_stored(NS, coordinate(float(n))) for n in range(50)]
        async with webhook(url, clock) as handler:
            await handler.handle(events)
        assert receiver.busiest == CONCURRENCY


class TestTryingAgain:
    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    async def test_what_may_succeed_later_is_tried_again(
        self, receiver: Receiver, url: str, clock: ManualClock, status: int
    ) -> None:
        receiver.behave = failing_first(status, times=3)
        async with webhook(url, clock) as handler:
            assert await soon(clock, handler.handle([memory_stored(NS, A)])) == [None]
        assert len(receiver.requests) == 4
        assert len({one.headers["webhook-id"] for one in receiver.requests}) == 1

    async def test_what_never_succeeds_is_told_after_all_tries(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        receiver.behave = failing_first(503, times=1000)
        events = [memory_stored(NS, A, 1), memory_stored(NS, A, 2)]
        async with webhook(url, clock, {"SFM_WEBHOOK_ATTEMPTS": "4"}) as handler:
            first, second = await soon(clock, handler.handle(events))
            assert first is not None
            assert first.code == "backend-unavailable"
            assert "answered 503 the last of 4 times" in str(first)
            # While it is down, the next ones are tried once each.
            assert second is not None
            assert len(receiver.requests) == 5
            assert None not in await handler.handle([memory_stored(NS, B, 1)])
            assert len(receiver.requests) == 6

    async def test_an_outage_ends_with_the_first_event_that_is_taken(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        receiver.behave = failing_first(503, times=1000)
        async with webhook(url, clock, {"SFM_WEBHOOK_ATTEMPTS": "3"}) as handler:
            await soon(clock, handler.handle([memory_stored(NS, A, 1)]))
            receiver.behave = failing_first(503, times=0)
            assert await handler.handle([memory_stored(NS, A, 2)]) == [None]
            receiver.behave = failing_first(503, times=2)
            assert await soon(clock, handler.handle([memory_stored(NS, A, 3)])) == [None]

    @pytest.mark.parametrize("status", [300, 301, 302, 307, 400, 401, 403, 404, 410, 413, 422])
    async def test_what_is_refused_is_told_at_once(
        self, receiver: Receiver, url: str, clock: ManualClock, status: int
    ) -> None:
        receiver.behave = failing_first(status, times=1000, location=f"{url}/elsewhere")
        async with webhook(url, clock) as handler:
            [outcome] = await handler.handle([memory_stored(NS, A)])
        assert outcome is not None
        assert outcome.code == "backend"
        assert f"answered {status}" in str(outcome)
        assert len(receiver.requests) == 1

    @pytest.mark.parametrize(
        ("told", "seconds"),
        [("30", 30), ("0", 0), ("99999999999999999999", 60), ("-5", 0), ("soon", 0), ("", 0)],
    )
    async def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
        self, receiver: Receiver, url: str, clock: ManualClock, told: str, seconds: int
    ) -> None:
        receiver.behave = failing_first(429, retry_after=told)
        assert await self.pause(receiver, url, clock) >= seconds

    async def test_a_receiver_may_name_a_date(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        date = format_datetime(clock.now() + timedelta(seconds=40), usegmt=True)
        receiver.behave = failing_first(503, retry_after=date)
        assert 40 <= await self.pause(receiver, url, clock) <= 45

    async def pause(self, receiver: Receiver, url: str, clock: ManualClock) -> float:
        """Return how long the second try was waited for, to the second."""
        async with webhook(url, clock) as handler:
            work = asyncio.ensure_future(handler.handle([memory_stored(NS, A)]))
            await until(lambda: bool(receiver.requests))
            while not work.done():
                await asyncio.sleep(0.002)
                if clock.sleepers:
                    await clock.advance(timedelta(seconds=1))
            assert await work == [None]
        first, second = (int(one.headers["webhook-timestamp"]) for one in receiver.requests)
        return second - first


class TestBadConnections:
    async def test_a_receiver_that_comes_back_gets_the_event(
        self, url: str, clock: ManualClock
    ) -> None:
        async with TcpProxy.before(url) as proxy, webhook(proxy.url, clock) as handler:
            await proxy.refuse()
            work = asyncio.ensure_future(handler.handle([memory_stored(NS, A)]))
            await until(lambda: clock.sleepers > 0)
            await proxy.pass_through()
            assert await soon(clock, work) == [None]

    async def test_a_connection_that_is_cut_is_tried_again(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        async with TcpProxy.before(url) as proxy, webhook(proxy.url, clock) as handler:
            proxy.cut_answers(after=10)
            work = asyncio.ensure_future(handler.handle([memory_stored(NS, A)]))
            await until(lambda: bool(receiver.requests and clock.sleepers))
            await proxy.pass_through()
            assert await soon(clock, work) == [None]
        # It had arrived before the cut: the same id lets a receiver know.
        assert len({one.event.id for one in receiver.requests}) == 1
        assert len(receiver.requests) > 1

    async def test_a_receiver_that_does_not_answer_is_not_waited_for(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        gate = asyncio.Event()

        async def behave(event: Event, times: int) -> Response | None:  # noqa: ARG001
            await gate.wait()
            return None

        receiver.behave = behave
        options = {"SFM_WEBHOOK_TIMEOUT_SECONDS": "0.2", "SFM_WEBHOOK_ATTEMPTS": "2"}
        async with webhook(url, clock, options) as handler:
            [outcome] = await soon(clock, handler.handle([memory_stored(NS, A)]))
        gate.set()
        assert "did not answer within 0.2 s the last of 2 times" in str(outcome)

    async def test_an_answer_without_end_is_not_read_to_its_end(
        self, receiver: Receiver, url: str, clock: ManualClock
    ) -> None:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65_536
                # Lets the server notice that nobody reads any more.
                await asyncio.sleep(0)

        async def behave(event: Event, times: int) -> Response | None:  # noqa: ARG001
            return StreamingResponse(endless(), status_code=200)

        receiver.behave = behave
        async with webhook(url, clock) as handler:
            assert await handler.handle([memory_stored(NS, A)]) == [None]


class TestSecrecy:
    async def test_neither_log_nor_reason_tells_what_is_secret(
        self, receiver: Receiver, url: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        receiver.behave = failing_first(400, times=1000)
        hidden = f"{url.replace('//', '//me:hush@')}/T0KEN?key=K3Y"
        async with webhook(hidden, clock, {"SFM_WEBHOOK_ATTEMPTS": "1"}) as handler:
            [refused] = await handler.handle([memory_stored(NS, A)])
        gone = hidden.replace(url.partition("//")[2], "127.0.0.1:9")
        async with webhook(gone, clock, {"SFM_WEBHOOK_ATTEMPTS": "1"}) as handler:
            [unreached] = await handler.handle([memory_stored(NS, A)])
        # The receiver's own log is not ours.
        logged = [one.getMessage() for one in caplog.records if "uvicorn" not in one.name]
        told = f"{refused} {unreached} {logged}"
        assert "127.0.0.1:9 was not reached" in told
        for secret in ("hush", "T0KEN", "K3Y", SECRET):
            assert secret not in told


class TestChoosing:
    @pytest.mark.parametrize(
        ("url", "options", "message"),
        [
            ("https://h/x", {"SFM_WEBHOOK_SECRET": ""}, "is not set"),
            ("https://h/x", {"SFM_WEBHOOK_SECRET": "h-u-s-h"}, "does not begin with whsec_"),
            ("https://h/x", {"SFM_WEBHOOK_SECRET": "whsec_h-u-s-h"}, "is not base64"),
            ("https://h/x", {"SFM_WEBHOOK_SECRET": "whsec_aHVzaA=="}, "fewer than 24 bytes"),
            ("https:///x", {}, "names no host"),
            ("https://h:port/x", {}, "names no host"),
            ("https:", {}, "names no host"),
        ],
    )
    def test_what_cannot_work_is_told_at_once_and_without_the_secret(
        self, clock: ManualClock, url: str, options: dict[str, str], message: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=message) as caught:
            webhook(url, clock, options)
        assert "h-u-s-h" not in str(caught.value)
        assert "aHVzaA" not in str(caught.value)

    def test_where_encryption_is_required_nothing_less_is_made(self, clock: ManualClock) -> None:
        with pytest.raises(ConfigurationError, match="without encryption"):
            webhook("http://h/x", clock, secure=True)
        assert isinstance(webhook("https://h/x", clock, secure=True), WebhookHandler)

    async def test_it_works_only_while_it_is_open(self, clock: ManualClock) -> None:
        handler = webhook("http://127.0.0.1:9/", clock)
        with pytest.raises(ClosedError):
            await handler.handle([memory_stored(NS, A)])


class TestContract(EventHandlerContract):
    """A receiver that applies by id and version is told everything, and nothing wrong."""

    @pytest.fixture
    def make(self, receiver: Receiver, url: str) -> Callable[[], EventHandler]:
        self._receiver = receiver
        return lambda: webhook(url, ManualClock())

    async def effect(self) -> object:
        found: dict[tuple[str, str], int] = {}
        for event in self._receiver.taken:
            place = (event.source, event.subject)
            found[place] = max(found.get(place, 0), event.version)
        return found


async def test_a_consumer_posts_what_it_reads(
    consumer: ConsumerProcess, receiver: Receiver, url: str
) -> None:
    receiver.behave = failing_first(503, times=1)
    consumer.publish(*(memory_stored(NS, A, version) for version in range(1, 4)))
    consumer.start(
        wait=False,
        SFM_CONSUMER_HANDLERS=f"webhook+{url.replace('//', '//me:hush@')}/T0KEN",
        SFM_WEBHOOK_SECRET=f"whsec_{SECRET}",
    )
    await until(lambda: receiver.versions == {"1": [1, 2, 3]})
    assert await asyncio.to_thread(consumer.end) == 0
    for secret in ("hush", "T0KEN", SECRET):
        assert secret not in consumer.log
    shown = await asyncio.to_thread(consumer.sfm, "config")
    assert "hush" not in shown.stdout
    assert SECRET not in shown.stdout
