"""Traces, as a collector gets them from real processes."""

from __future__ import annotations

from collections.abc import Generator

import httpx
import pytest
from fix_consuming import ConsumerProcess
from fix_serving import Serve, Server
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_receiver import Receiver, receiving

from sfm_core.testing.loopback import free_port

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
CANARY = "canary"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}


@pytest.fixture
def receiver() -> Generator[Receiver]:
    with receiving() as running:
        yield running


def store(server: Server, coord: str, **headers: str) -> httpx.Response:
    body = {
        "coord": coord,
        "payload": {"text": f"{CANARY} text"},
        "namespace": f"{CANARY}-namespace",
    }
    answer = httpx.post(f"{server.url}/store", json=body, headers=headers, timeout=30)
    assert answer.is_success, answer.text
    return answer


def begin(server: Server, receiver: Receiver) -> None:
    """Wait until the server has found the collector."""
    receiver.until(
        lambda: httpx.get(f"{server.url}/healthz", timeout=30).is_success and bool(receiver.spans)
    )


def of_trace(receiver: Receiver) -> dict[str, Span]:
    return {span.name: span for span in receiver.spans if span.trace_id.hex() == TRACE}


def test_one_store_is_one_trace_from_the_request_to_the_consumer(
    serve: Serve, consumer: ConsumerProcess, receiver: Receiver
) -> None:
    shared = {
        "PYTHONPATH": consumer.environ["PYTHONPATH"],
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        **SOON,
    }
    stream = f"folder:{consumer.folder / 'stream'}"
    consumer.environ |= shared
    consumer.start()
    server = serve(SFM_EVENTS_URL=stream, EVENTING_ENABLED="true", **shared)
    begin(server, receiver)
    # Each process looks for the collector by itself.
    words = "traces go to"
    receiver.until(lambda: words in server.log.read_text() and words in consumer.log)
    store(server, "1,2", **PARENT)
    stages = {
        "POST /store",
        "memory.store",
        "memory.commit",
        "kv.commit",
        "embedder.embed",
        "memory.index",
        "vector.upsert",
        "memory.publish",
        "events.publish",
        "memory.consume",
    }
    receiver.until(lambda: stages <= of_trace(receiver).keys())
    spans = of_trace(receiver)
    ids = {span.span_id: span.name for span in spans.values()}
    assert spans["POST /store"].parent_span_id.hex() == PARENT["traceparent"].split("-")[2]
    assert ids[spans["memory.store"].parent_span_id] == "POST /store"
    assert ids[spans["memory.commit"].parent_span_id] == "memory.store"
    assert ids[spans["kv.commit"].parent_span_id] == "memory.commit"
    assert ids[spans["memory.consume"].parent_span_id] == "memory.store"
    assert CANARY.encode() not in receiver.raw
    assert b"1,2" not in receiver.raw
    assert receiver.services == {"somafractalmemory"}


def test_without_a_collector_nothing_is_said(serve: Serve) -> None:
    server = serve(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}", MEMORY_MODE="test"
    )
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for _ in range(100):
            assert client.get("/stats").is_success
    log = server.stop()
    for word in ("opentelemetry", "otlp", "trace", "spans", "collector", "Traceback"):
        assert word not in log, log


def test_a_collector_that_goes_away_is_not_news(serve: Serve) -> None:
    with receiving() as receiver:
        server = serve(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, MEMORY_MODE="test", **SOON)
        begin(server, receiver)
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for _ in range(50):
            assert client.get("/stats").is_success
    log = server.stop()
    assert "ERROR" not in log
    assert "WARNING opentelemetry" not in log


def test_nothing_is_sent_where_traces_are_turned_off(serve: Serve, receiver: Receiver) -> None:
    server = serve(
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_TRACES_EXPORTER="none",
        MEMORY_MODE="test",
        **SOON,
    )
    store(server, "1", **PARENT)
    server.stop()
    assert receiver.spans == []


def test_what_its_sender_does_not_record_is_not_recorded(serve: Serve, receiver: Receiver) -> None:
    server = serve(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, MEMORY_MODE="test", **SOON)
    begin(server, receiver)
    store(server, "1", traceparent=PARENT["traceparent"][:-2] + "00")
    store(server, "2", traceparent="00-nonsense")
    receiver.until(lambda: len(receiver.named("POST /store")) == 1)
    server.stop()
    assert not of_trace(receiver)
    assert len(receiver.named("POST /store")) == 1
