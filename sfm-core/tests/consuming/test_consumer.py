"""A consumer hands every event to every handler, whatever fails on the way."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from random import Random

import pytest
from consuming_house import LONG, NS, Notebook, Stream, versions

from sfm_core.engine.consuming.consumer import Consumer
from sfm_core.errors import (
    BackendUnavailableError,
    ConfigurationError,
    InvalidInputError,
    PluginError,
    SfmError,
    StorageFullError,
)
from sfm_core.inprocess.events import EventStreamState, InProcessEventSource
from sfm_core.model.events import Event
from sfm_core.protocols.source import Delivery, Rejection
from sfm_core.testing.faults import Fault, FaultPlan, Process
from sfm_core.testing.samples import MOMENT, coordinate, event

_READS = (Fault.ERROR, Fault.DELAY, Fault.CRASH)
METHODS = {
    # What a call of `receive` has taken is in its answer, or is still on the stream.
    fault: ("acknowledge", "set_aside", "lag", *(("receive",) if fault in _READS else ()))
    for fault in Fault
}


@pytest.fixture
def stream() -> Stream:
    return Stream()


def strike(plan: FaultPlan, fault: Fault, method: str, *, nth: int = 1, times: int = 1) -> None:
    match fault:
        case Fault.ERROR:
            plan.fail(method, nth=nth, times=times)
        case Fault.LOST_REPLY:
            plan.lose_reply(method, nth=nth, times=times)
        case Fault.DELAY:
            plan.delay(method, nth=nth, times=times)
        case Fault.DUPLICATE:
            plan.duplicate(method, nth=nth, times=times)
        case Fault.CRASH:
            plan.crash(method, nth=nth, after=times % 2 == 0)


def refuse_second(one: Event) -> SfmError | None:
    return InvalidInputError("It is the second.", field="version") if one.version == 2 else None


class TestHandingOver:
    async def test_every_handler_gets_every_event_in_order(self, stream: Stream) -> None:
        first, second = Notebook(), Notebook()
        events = versions(1, 2, 3)
        await stream.publish(events)
        async with stream.running(stream.consumer(first, second)):
            await stream.until(lambda: len(second.events) == 3)
        assert first.events == second.events == events

    async def test_what_was_handled_is_acknowledged(self, stream: Stream) -> None:
        book = Notebook()
        await stream.publish(versions(1, 2))
        consumer = stream.consumer(book)
        async with stream.running(consumer):
            await stream.until(lambda: consumer.statistics.batches == 1)
        assert await stream.unfinished() == []

    async def test_no_more_is_in_hand_than_the_batch_allows(self, stream: Stream) -> None:
        book = Notebook()
        await stream.publish(versions(*range(1, 8)))
        async with stream.running(stream.consumer(book, batch=3)):
            await stream.until(lambda: len(book.events) == 7)
        assert [len(batch) for batch in book.batches] == [3, 3, 1]

    async def test_handlers_are_open_while_it_runs_and_closed_afterwards(
        self, stream: Stream
    ) -> None:
        book = Notebook()
        consumer = stream.consumer(book)
        async with stream.running(consumer):
            await stream.until(lambda: consumer.statistics.consuming)
            assert book.opened == 1
        assert book.opened == 0
        assert not consumer.statistics.consuming


class TestTryingAgain:
    @pytest.mark.parametrize("error", [BackendUnavailableError, StorageFullError])
    async def test_a_batch_is_kept_until_its_handler_works_again(
        self, stream: Stream, error: type[BackendUnavailableError]
    ) -> None:
        book = Notebook()
        book.plan.fail("handle", times=4, error=lambda: error("Not now.", backend="b"))
        await stream.publish(versions(1, 2))
        async with stream.running(stream.consumer(book)):
            await stream.until(lambda: bool(book.batches))
        assert book.batches == [versions(1, 2)]
        assert book.plan.calls["handle"] == 5

    async def test_a_handler_that_is_done_is_not_asked_again_for_another_one(
        self, stream: Stream
    ) -> None:
        first, second = Notebook(), Notebook()
        second.plan.fail("handle", times=3)
        await stream.publish(versions(1))
        async with stream.running(stream.consumer(first, second)):
            await stream.until(lambda: bool(second.batches))
        assert first.plan.calls["handle"] == 1

    @pytest.mark.parametrize(
        ("method", "fault"),
        [
            ("receive", Fault.ERROR),
            ("acknowledge", Fault.ERROR),
            ("acknowledge", Fault.LOST_REPLY),
            ("set_aside", Fault.ERROR),
            ("set_aside", Fault.LOST_REPLY),
        ],
    )
    async def test_a_source_that_fails_for_a_while_loses_nothing(
        self, stream: Stream, method: str, fault: Fault
    ) -> None:
        strike(stream.plan, fault, method, times=3)
        book = Notebook(refuse_second)
        consumer = stream.consumer(book)
        await stream.publish(versions(1, 2, 3))
        async with stream.running(consumer):
            await stream.until(lambda: consumer.statistics.batches > 0)
        assert book.events == versions(1, 2, 3)
        assert len(await stream.letters()) == 1
        assert await stream.unfinished() == []

    async def test_opening_is_tried_again_too(self, stream: Stream) -> None:
        book = Notebook()
        book.plan.fail("open", times=3)
        await stream.publish(versions(1))
        async with stream.running(stream.consumer(book)):
            await stream.until(lambda: bool(book.events))
        assert book.opened == 0

    async def test_trouble_is_shown_while_it_lasts_and_logged_once(
        self, stream: Stream, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "sfm_core.engine.consuming")
        book = Notebook()
        book.plan.fail("handle", times=20)
        consumer = stream.consumer(book)
        await stream.publish(versions(1))
        async with stream.running(consumer):
            await stream.until(lambda: consumer.statistics.retries["h1"] > 5)
            assert consumer.statistics.troubles["h1"].code == "backend-unavailable"
            await stream.until(lambda: consumer.statistics.batches == 1)
            assert consumer.statistics.troubles == {}
        assert consumer.statistics.retries["h1"] == 20
        assert [record.message.partition(",")[0] for record in caplog.records] == [
            "h1 fails",
            "h1 works again",
        ]


class TestWhatCannotBeTakenIn:
    async def test_it_becomes_a_dead_letter_and_the_others_go_on(self, stream: Stream) -> None:
        book = Notebook(refuse_second)
        consumer = stream.consumer(book)
        await stream.publish(versions(1, 2, 3))
        async with stream.running(consumer):
            await stream.until(lambda: consumer.statistics.batches == 1)
        [letter] = await stream.letters()
        assert letter.rejection == Rejection(
            handler="h1", code="invalid-input", reason="It is the second."
        )
        assert consumer.statistics.handled["h1"] == 2
        assert consumer.statistics.dead_letters == {("h1", "invalid-input"): 1}
        assert await stream.unfinished() == []

    async def test_it_goes_to_the_other_handlers_all_the_same(self, stream: Stream) -> None:
        first, second = Notebook(refuse_second), Notebook()
        await stream.publish(versions(1, 2))
        async with stream.running(stream.consumer(first, second)):
            await stream.until(lambda: bool(second.batches))
        assert second.events == versions(1, 2)

    async def test_what_two_handlers_refuse_is_one_letter_that_names_both(
        self, stream: Stream
    ) -> None:
        consumer = stream.consumer(Notebook(refuse_second), Notebook(refuse_second))
        await stream.publish(versions(1, 2))
        async with stream.running(consumer):
            await stream.until(lambda: consumer.statistics.batches == 1)
        [letter] = await stream.letters()
        assert letter.rejection.handler == "h1, h2"
        assert letter.rejection.reason == "h1: It is the second.; h2: It is the second."
        assert consumer.statistics.dead_letters.total() == 2

    async def test_what_is_no_event_is_set_aside_and_handed_to_nobody(self, stream: Stream) -> None:
        source = Garbled()
        book = Notebook()
        consumer = Consumer(lambda: source, {"h1": lambda: book}, clock=stream.clock)
        async with stream.running(consumer):
            await stream.until(lambda: consumer.statistics.batches == 1)
        assert book.batches == []
        assert source.aside == [Rejection(handler="", code="corrupt-data", reason="No JSON.")]

    async def test_it_can_be_retried_afterwards(self, stream: Stream) -> None:
        strict, lenient = Notebook(refuse_second), Notebook()
        await stream.publish(versions(1, 2, 3))
        async with stream.running(stream.consumer(strict)):
            await stream.until(lambda: bool(strict.batches))
        [letter] = await stream.letters()
        async with stream.source() as source:
            await source.retry([letter.place])
        async with stream.running(stream.consumer(lenient)):
            await stream.until(lambda: bool(lenient.batches))
        assert lenient.events == versions(2)
        assert await stream.letters() == []


class TestWhatStopsIt:
    async def test_an_error_that_no_repetition_mends(self, stream: Stream) -> None:
        book = Notebook()
        book.plan.fail("handle", error=lambda: ConfigurationError("So it cannot work."))
        await stream.publish(versions(1))
        with pytest.raises(ConfigurationError, match="So it cannot work"):
            await stream.consumer(book).run()
        assert await stream.unfinished() == versions(1)
        assert book.opened == 0

    async def test_an_error_of_the_source_that_no_repetition_mends(self, stream: Stream) -> None:
        stream.plan.fail("receive", error=lambda: ConfigurationError("There is no such topic."))
        with pytest.raises(ConfigurationError, match="no such topic"):
            await stream.consumer(Notebook()).run()

    @pytest.mark.filterwarnings("error")
    async def test_a_fault_of_a_handler_that_is_no_error_of_ours(self, stream: Stream) -> None:
        book = Notebook()
        book.plan.fail("handle", error=lambda: ZeroDivisionError("by zero"))
        await stream.publish(versions(1))
        with pytest.raises(PluginError, match="h1 failed with ZeroDivisionError: by zero"):
            await stream.consumer(book).run()
        assert await stream.unfinished() == versions(1)

    async def test_a_handler_that_does_not_say_what_became_of_each_event(
        self, stream: Stream
    ) -> None:
        class Silent(Notebook):
            async def handle(self, events: object) -> list[SfmError | None]:  # noqa: ARG002
                return []

        await stream.publish(versions(1))
        with pytest.raises(PluginError, match="0 outcomes for 1 events"):
            await stream.consumer(Silent()).run()


class TestStopping:
    async def test_it_ends_at_once_where_nothing_comes(self, stream: Stream) -> None:
        consumer = stream.consumer(Notebook())
        async with stream.running(consumer):
            await stream.until(lambda: stream.plan.calls["receive"] == 1)

    async def test_the_batch_in_hand_is_finished_and_acknowledged(self, stream: Stream) -> None:
        book = Notebook()
        gate = book.plan.hold("handle")
        await stream.publish(versions(1, 2, 3))
        consumer = stream.consumer(book, batch=2)
        async with stream.running(consumer):
            await gate.reached()
            consumer.stop()
            gate.open()
        assert book.events == versions(1, 2)
        assert await stream.unfinished() == versions(3)

    async def test_it_does_not_wait_for_what_does_not_work(self, stream: Stream) -> None:
        book = Notebook()
        book.plan.fail("handle", times=None)
        await stream.publish(versions(1))
        consumer = stream.consumer(book)
        async with stream.running(consumer):
            await stream.until(lambda: consumer.statistics.retries["h1"] > 0)
        assert await stream.unfinished() == versions(1)

    async def test_the_group_goes_on_with_another_member(self, stream: Stream) -> None:
        book = Notebook()
        await stream.publish(versions(1))
        async with stream.running(stream.consumer(book)):
            await stream.until(lambda: len(book.events) == 1)
        await stream.publish(versions(2))
        async with stream.running(stream.consumer(book)):
            await stream.until(lambda: len(book.events) == 2)
        assert book.events == versions(1, 2)


class TestCrashes:
    async def test_what_had_its_effect_and_was_not_acknowledged_comes_again(
        self, stream: Stream
    ) -> None:
        book = Notebook()
        stream.plan.crash("acknowledge")
        await stream.publish(versions(1, 2))
        task = asyncio.create_task(stream.consumer(book).run())
        await stream.until(lambda: stream.plan.process.crashed)
        task.cancel()
        await asyncio.wait([task])
        stream.plan = FaultPlan()
        async with stream.running(stream.consumer(book)):
            await stream.until(lambda: len(book.batches) == 2)
        assert book.batches == [versions(1, 2), versions(1, 2)]

    @pytest.mark.parametrize("fault", list(Fault))
    @pytest.mark.parametrize("seed", range(3))
    async def test_every_event_is_handled_in_order_whatever_strikes(
        self, stream: Stream, fault: Fault, seed: int
    ) -> None:
        random = Random(seed)
        book = Notebook()
        events = [
            event(NS, coordinate(float(place)), version)
            for version in range(1, 9)
            for place in range(5)
        ]
        await stream.publish(events)
        # One life after another: each ends at a moment that the seed chooses.
        for _ in range(20):
            process = Process()
            stream.plan = FaultPlan(process=process)
            book.plan = FaultPlan(process=process)
            for method in METHODS[fault]:
                strike(
                    stream.plan, fault, method, nth=random.randint(1, 5), times=random.randint(1, 3)
                )
            strike(book.plan, fault, "handle", nth=random.randint(1, 5))
            task = asyncio.create_task(stream.consumer(book, batch=random.randint(1, 9)).run())
            for _turn in range(random.randint(5, 60)):
                await asyncio.sleep(0)
                await stream.clock.advance(LONG)
            task.cancel()
            await asyncio.wait([task])
        stream.plan, book.plan = FaultPlan(), FaultPlan()
        consumer = stream.consumer(book)
        async with stream.running(consumer):
            await stream.until(lambda: {e.id for e in book.events} == {e.id for e in events})
        assert await stream.unfinished() == []
        for place in {one.subject for one in events}:
            first = dict.fromkeys(one.version for one in book.events if one.subject == place)
            assert list(first) == list(range(1, 9))


class TestStatistics:
    async def test_they_tell_how_much_and_how_late(self, stream: Stream) -> None:
        book = Notebook()
        await stream.publish(versions(1, 2))
        consumer = stream.consumer(book)
        async with stream.running(consumer):
            await stream.until(lambda: consumer.statistics.batches == 1)
            told = consumer.statistics
            assert (told.received, told.handled["h1"]) == (2, 2)
            assert told.delay is not None
            assert abs(told.delay - (stream.clock.now() - MOMENT)) <= timedelta(minutes=10)

    async def test_the_lag_is_told_also_while_a_handler_does_not_work(self, stream: Stream) -> None:
        book = Notebook()
        book.plan.fail("handle", times=None)
        await stream.publish(versions(1, 2))
        consumer = stream.consumer(book)
        async with stream.running(consumer):
            await stream.until(lambda: consumer.statistics.lag == 2)
            await stream.publish(versions(3))
            await stream.until(lambda: consumer.statistics.lag == 3)

    async def test_the_lag_is_unknown_while_the_source_does_not_tell(self, stream: Stream) -> None:
        consumer = stream.consumer(Notebook())
        async with stream.running(consumer):
            await stream.until(lambda: consumer.statistics.lag == 0)
            stream.plan.fail("lag", times=None)
            await stream.until(lambda: consumer.statistics.lag is None)


class Garbled(InProcessEventSource):
    """A source with one thing in it that is no event."""

    def __init__(self) -> None:
        super().__init__(state=EventStreamState())
        self.aside: list[Rejection] = []
        self._left = [Delivery(place="1", event=None, problem="No JSON.")]

    async def receive(self, *, limit: int, wait: timedelta) -> list[Delivery]:
        if self._left:
            return [self._left.pop()]
        return await super().receive(limit=limit, wait=wait)

    async def set_aside(self, delivery: Delivery, rejection: Rejection) -> None:
        assert delivery.event is None
        self.aside.append(rejection)
