"""`sfm consumer` as a process: what it does with events, how it tells, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import threading
from random import Random

import pytest
from fix_consuming import ConsumerProcess, firsts, until

from sfm_core.model.events import Event
from sfm_core.testing.samples import coordinate, event

NS = "default"


def events_of(*places: float, versions: int, **data: object) -> list[Event]:
    return [
        event(NS, coordinate(place), version, data or None)  # type: ignore[arg-type]
        for version in range(1, versions + 1)
        for place in places
    ]


@pytest.mark.smoke
def test_events_go_to_the_handler_and_are_acknowledged(consumer: ConsumerProcess) -> None:
    consumer.publish(*events_of(1, 2, versions=3))
    consumer.start()
    until(lambda: consumer.figure("sfm_consumer_batch_seconds_count") > 0, consumer)
    assert firsts(consumer.book, "1") == firsts(consumer.book, "2") == [1, 2, 3]
    assert consumer.figure('sfm_consumer_handled_total{handler="notebook"}') == 6
    assert consumer.figure("sfm_consumer_received_total") == 6
    until(lambda: "sfm_consumer_lag 0.0" in consumer.get("/metrics").text, consumer)
    assert consumer.end() == 0
    consumer.start()
    consumer.publish(*events_of(3, versions=1))
    until(lambda: len(consumer.book) == 7, consumer)


def test_whatever_kills_it_every_event_is_handled_in_order(consumer: ConsumerProcess) -> None:
    random = Random(1)
    events = events_of(*range(5), versions=80)
    publishing = threading.Thread(target=consumer.publish, args=events)
    publishing.start()
    for _ in range(6):
        consumer.start(wait=False, SFM_CONSUMER_BATCH=str(random.randint(1, 40)))
        wanted = len(consumer.book) + random.randint(1, 50)

        def far_enough(wanted: int = wanted) -> bool:
            # One that is killed late may have left nothing to do for the next.
            return len(consumer.book) >= wanted or len(set(consumer.book)) == len(events)

        until(far_enough, consumer)
        assert consumer.end(signal.SIGKILL) == -signal.SIGKILL
    publishing.join()
    consumer.start()
    until(lambda: len(set(consumer.book)) == len(events), consumer)
    for place in range(5):
        assert firsts(consumer.book, str(place)) == list(range(1, 81))


def test_a_stop_finishes_the_batch_in_hand(consumer: ConsumerProcess) -> None:
    consumer.publish(*events_of(*range(20), versions=20))
    consumer.start(wait=False, SFM_CONSUMER_BATCH="20")
    until(lambda: len(consumer.book) > 10, consumer)
    assert consumer.end() == 0
    assert len(consumer.book) % 20 == 0
    assert "the consumer is closed" in consumer.log
    assert "Traceback" not in consumer.log
    consumer.start()
    until(lambda: len(consumer.book) == 400, consumer)
    assert len(set(consumer.book)) == 400


@pytest.mark.parametrize(
    ("place", "whose"), [("down", "notebook"), ("stream/down", "source")], ids=["handler", "source"]
)
def test_trouble_makes_it_unready_until_it_is_over(
    consumer: ConsumerProcess, place: str, whose: str
) -> None:
    consumer.start()
    (consumer.folder / "stream").mkdir(exist_ok=True)
    (consumer.folder / place).touch()
    consumer.publish(*events_of(1, versions=1))
    until(lambda: consumer.get("/readyz").status_code == 503, consumer)
    until(lambda: consumer.figure(f'sfm_consumer_retries_total{{of="{whose}"}}') >= 3, consumer)
    assert consumer.get("/readyz").json()["type"].endswith("unavailable")
    assert "is down" in consumer.get("/readyz").json()["detail"]
    assert consumer.get("/healthz").json() == {"status": "ok"}
    assert consumer.figure(f'sfm_consumer_trouble{{of="{whose}"}}') == 1
    assert consumer.book == []
    (consumer.folder / place).unlink()
    until(lambda: consumer.get("/readyz").is_success, consumer)
    until(lambda: consumer.book == [("1", 1)], consumer)
    assert consumer.log.count(f"{whose} fails, and is tried until it works") == 1
    assert consumer.log.count(f"{whose} works again") == 1


def test_a_stop_does_not_wait_for_what_does_not_work(consumer: ConsumerProcess) -> None:
    (consumer.folder / "down").touch()
    consumer.publish(*events_of(1, versions=1))
    # Nobody waits for that long.
    consumer.start(wait=False, UVICORN_TIMEOUT_GRACEFUL="3600")
    until(lambda: "notebook fails" in consumer.log, consumer)
    assert consumer.end(signal.SIGINT) == 0
    (consumer.folder / "down").unlink()
    consumer.start()
    until(lambda: consumer.book == [("1", 1)], consumer)


@pytest.mark.parametrize("again", [False, True], ids=["its time is over", "a second signal"])
def test_a_stop_gives_a_batch_up_that_does_not_end(
    consumer: ConsumerProcess, *, again: bool
) -> None:
    (consumer.folder / "hang").touch()
    consumer.publish(*events_of(1, versions=1))
    consumer.start(UVICORN_TIMEOUT_GRACEFUL="3600" if again else "1")
    until(lambda: consumer.figure("sfm_consumer_received_total") == 1, consumer)
    consumer.send(signal.SIGTERM)
    until(lambda: "finishing the batch in hand" in consumer.log, consumer)
    assert consumer.end() == 0 if again else consumer.status() == 0
    assert "before the batch in hand was done" in consumer.log
    (consumer.folder / "hang").unlink()
    consumer.start()
    until(lambda: consumer.book == [("1", 1)], consumer)


class TestDeadLetters:
    @pytest.fixture
    def letters(self, consumer: ConsumerProcess) -> ConsumerProcess:
        """A consumer that has set aside two events and something that is none."""
        consumer.publish(*events_of(1, versions=2, refuse=True), *events_of(2, versions=1))
        consumer.stream.put(b"no event")
        consumer.start()
        until(lambda: consumer.figure("sfm_consumer_dead_letters_total") == 3, consumer)
        return consumer

    def listed(self, consumer: ConsumerProcess) -> list[dict[str, str]]:
        done = consumer.sfm("events", "dlq", "list", "--json")
        assert done.returncode == 0, done.stderr
        found: list[dict[str, str]] = json.loads(done.stdout)
        return found

    def test_they_are_listed_with_handler_and_reason(self, letters: ConsumerProcess) -> None:
        found = self.listed(letters)
        assert [(one["handler"], one["code"]) for one in found] == [
            ("notebook", "invalid-input"),
            ("notebook", "invalid-input"),
            ("", "corrupt-data"),
        ]
        assert found[0]["reason"] == "It says so itself."
        assert json.loads(found[0]["value"])["subject"] == "1"
        assert found[2]["value"] == "no event"
        text = letters.sfm("events", "dlq", "list", "--limit", "1").stdout
        assert "It says so itself." in text
        assert len(text.splitlines()) == 2

    def test_what_is_retried_comes_again(self, letters: ConsumerProcess) -> None:
        place = self.listed(letters)[0]["place"]
        done = letters.sfm("events", "dlq", "retry", place, "--json")
        assert json.loads(done.stdout) == {"retried": 1}
        until(lambda: letters.book.count(("1", 1)) == 2, letters)

    def test_what_is_dropped_is_gone(self, letters: ConsumerProcess) -> None:
        places = [one["place"] for one in self.listed(letters)]
        assert letters.sfm("events", "dlq", "drop", *places[1:]).stdout == "Dropped 2.\n"
        assert [one["place"] for one in self.listed(letters)] == places[:1]

    def test_all_of_them_at_once(self, letters: ConsumerProcess) -> None:
        assert letters.sfm("events", "dlq", "retry", "--all").stdout == "Published 3 again.\n"
        until(lambda: letters.figure("sfm_consumer_dead_letters_total") == 6, letters)
        assert letters.sfm("events", "dlq", "drop", "--all").stdout == "Dropped 3.\n"
        assert letters.sfm("events", "dlq", "list").stdout == "There are no dead letters.\n"

    def test_places_or_all_but_not_neither_or_both(self, letters: ConsumerProcess) -> None:
        assert letters.sfm("events", "dlq", "drop").returncode == 2
        assert letters.sfm("events", "dlq", "drop", "1", "--all").returncode == 2
        assert len(self.listed(letters)) == 3


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"SFM_SOURCE_URL": "", "MEMORY_MODE": "embedded"}, "events are published nowhere"),
        ({"SFM_SOURCE_URL": "memory:"}, "belongs to one process"),
        ({"SFM_SOURCE_URL": "nope:"}, "source backend"),
        ({"SFM_CONSUMER_HANDLERS": "nope:"}, "No plugin offers the event handler 'nope'"),
        ({"SFM_CONSUMER_HANDLERS": ","}, "without a handler"),
        ({"SFM_CONSUMER_HANDLERS": "indexer:x"}, "does not need"),
        ({"SFM_CONSUMER_BATCH": "0"}, "SFM_CONSUMER_BATCH"),
        ({"SFM_HOST": "999.1.1.1"}, "cannot be listened on"),
    ],
)
def test_a_start_that_cannot_work_ends_with_one_clear_line(
    consumer: ConsumerProcess, environ: dict[str, str], message: str
) -> None:
    consumer.start(wait=False, **environ)
    assert consumer.status() == 6
    assert sum(message in line for line in consumer.log.splitlines()) == 1
    assert "Traceback" not in consumer.log


@pytest.mark.parametrize("mode", ["embedded", "test"])
def test_where_nothing_is_published_it_can_be_told_to_be_well_and_wait(
    consumer: ConsumerProcess, mode: str
) -> None:
    consumer.start(SFM_SOURCE_URL="", MEMORY_MODE=mode, options=["--or-idle"])
    assert "there is nothing to do" in consumer.log
    assert consumer.get("/healthz").is_success
    assert consumer.end() == 0


def test_a_stream_that_is_named_and_cannot_be_used_is_an_error_all_the_same(
    consumer: ConsumerProcess,
) -> None:
    consumer.start(wait=False, SFM_SOURCE_URL="nope:", options=["--or-idle"])
    assert consumer.status() == 6


def test_a_port_that_is_taken_is_named(consumer: ConsumerProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = consumer.sfm("consumer", "--port", str(port), "--json")
    assert done.returncode == 6
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "configuration"


def test_a_fault_of_a_handler_stops_it_and_nothing_is_acknowledged(
    consumer: ConsumerProcess,
) -> None:
    (consumer.folder / "book").mkdir()
    consumer.publish(*events_of(1, versions=1))
    consumer.start(wait=False)
    assert consumer.status() == 6
    assert "sfm: The event handler notebook failed with IsADirectoryError" in consumer.log
    (consumer.folder / "book").rmdir()
    consumer.start()
    until(lambda: consumer.book == [("1", 1)], consumer)


def test_handlers_of_one_scheme_are_told_apart(consumer: ConsumerProcess) -> None:
    book = consumer.folder / "book"
    consumer.publish(*events_of(1, versions=1))
    consumer.start(SFM_CONSUMER_HANDLERS=f"notebook:{book}, notebook:{book}2")
    until(lambda: consumer.figure("sfm_consumer_batch_seconds_count") > 0, consumer)
    assert consumer.figure('sfm_consumer_handled_total{handler="notebook#2"}') == 1
    assert (consumer.folder / "book2").read_text() == book.read_text()


class TestListings:
    def test_doctor_looks_at_source_and_handlers(self, consumer: ConsumerProcess) -> None:
        found = {one["check"]: one for one in json.loads(consumer.sfm("doctor", "--json").stdout)}
        assert found["source"]["verdict"] == "ok"
        assert "(SFM_SOURCE_URL)" in found["source"]["detail"]
        assert found["handler notebook"]["verdict"] == "ok"
        consumer.environ["NOTEBOOK_FILE"] = "/somewhere"
        found = {one["check"]: one for one in json.loads(consumer.sfm("doctor", "--json").stdout)}
        assert "NOTEBOOK_FILE=/somewhere" in found["handler notebook"]["detail"]

    def test_doctor_finds_what_a_consumer_would_stumble_over(
        self, consumer: ConsumerProcess
    ) -> None:
        (consumer.folder / "stream").mkdir()
        (consumer.folder / "stream" / "down").touch()
        consumer.environ["SFM_CONSUMER_HANDLERS"] = "nope:"
        done = consumer.sfm("doctor", "--json")
        found = {one["check"]: one for one in json.loads(done.stdout)}
        assert done.returncode == 1
        assert "The folder is down." in found["source"]["detail"]
        assert found["handlers"]["verdict"] == "failed"

    def test_plugins_shows_them_as_chosen(self, consumer: ConsumerProcess) -> None:
        found = {one["name"]: one for one in json.loads(consumer.sfm("plugins", "--json").stdout)}
        [source] = [one for one in found["folder"]["backends"] if one["port"] == "source"]
        assert source["selected"]
        assert found["folder"]["handlers"] == [
            {"scheme": "notebook", "summary": "Writes down.", "selected": True}
        ]
        assert not found["handlers"]["handlers"][0]["selected"]

    def test_config_shows_the_variables_of_a_handler(self, consumer: ConsumerProcess) -> None:
        consumer.environ["NOTEBOOK_FILE"] = "/somewhere"
        found = {
            one["variable"]: one for one in json.loads(consumer.sfm("config", "--json").stdout)
        }
        assert found["NOTEBOOK_FILE"]["value"] == "/somewhere"
        assert found["NOTEBOOK_FILE"]["used_by"] == "folder-stream"

    def test_a_handler_is_given_what_it_declares(self, consumer: ConsumerProcess) -> None:
        consumer.publish(*events_of(1, versions=1))
        consumer.start(
            NOTEBOOK_FILE=str(consumer.folder / "book"), SFM_CONSUMER_HANDLERS="notebook:"
        )
        until(lambda: consumer.book == [("1", 1)], consumer)
