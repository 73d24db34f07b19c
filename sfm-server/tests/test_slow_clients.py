"""Clients that hold a connection and do not use it, as they are seen by a real server."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import httpx
import pytest
from fix_serving import Server, start

PATIENCE_SECONDS = 60
IN_TIME_SECONDS = 0.3
"""How long it may take to say something, so that the server has not lost its patience by then."""
HEAD = b"POST /store HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A server that waits for nobody."""
    environ = {
        "MEMORY_MODE": "test",
        "EVENTING_ENABLED": "true",
        "SFM_HEAD_SECONDS": "0.5",
        "SFM_BODY_SECONDS": "0.5",
        "SFM_SLOW_READER_SECONDS": "1",
        "SFM_MAX_CONNECTIONS": "8",
    }
    running = start(tmp_path_factory.mktemp("impatient"), environ=environ)
    yield running
    log = running.stop()
    assert "Traceback" not in log


def connect(server: Server) -> socket.socket:
    connection = socket.socket()
    # So that little of an answer is on its way.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(PATIENCE_SECONDS)
    connection.connect(("127.0.0.1", urlsplit(server.url).port))
    return connection


Say = Callable[[bytes], socket.socket]


@pytest.fixture
def say(impatient: Server) -> Generator[Say]:
    """Opens connections, on each of which something is said in time, and returns them."""
    with ExitStack() as opened:

        def in_time(said: bytes) -> socket.socket:
            while True:
                began = time.monotonic()
                connection = opened.enter_context(connect(impatient))
                connection.sendall(said)
                if time.monotonic() - began < IN_TIME_SECONDS:
                    return connection
                # This process stood still meanwhile.
                connection.close()

        yield in_time


def ask(server: Server, method: str, path: str, **content: object) -> httpx.Response:
    """Ask until nothing has kept this process from asking in time."""
    while True:
        with suppress(httpx.TransportError):
            answer = httpx.request(method, server.url + path, json=content or None, timeout=60)
            if answer.status_code != 408:
                return answer


def rest(connection: socket.socket) -> bytes:
    """Return what comes until the server closes."""
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds for the server."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        # Another process is waited for, whose clock no test can move.
        time.sleep(0.05)  # noqa: TID251


def problem(answer: bytes) -> tuple[bytes, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head
    return head.split(b" ")[1], json.loads(body)["type"]


def is_cut_off(connection: socket.socket, part: bytes) -> bool:
    """Send a part again and again, and tell whether the server puts an end to it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while time.monotonic() < deadline:
            connection.sendall(part)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def drip(connection: socket.socket, content: bytes) -> None:
    """Send a byte now and then, until the server has had enough."""

    def send() -> None:
        for place in range(len(content)):
            try:
                connection.sendall(content[place : place + 1])
            except OSError:
                return
            # A clock of another process is waited for, which no test can move.
            time.sleep(0.1)  # noqa: TID251

    threading.Thread(target=send, daemon=True).start()


def test_a_connection_that_says_nothing_is_closed(say: Say) -> None:
    assert rest(say(b"")) == b""


def test_a_head_that_trickles_in_is_cut_off(say: Say) -> None:
    connection = say(HEAD[:1])
    drip(connection, HEAD[1:] + HEAD * 100)
    assert problem(rest(connection)) == (b"408", "urn:sfm:error:request-timeout")


def test_a_body_that_trickles_in_is_cut_off(say: Say) -> None:
    connection = say(HEAD + b"Content-Length: 1000\r\n\r\n")
    drip(connection, b" " * 1000)
    assert problem(rest(connection)) == (b"408", "urn:sfm:error:request-timeout")


def test_a_body_that_came_fast_and_then_stands_still_is_cut_off(say: Say) -> None:
    connection = say(HEAD + b"Content-Length: 2000000\r\n\r\n")
    connection.sendall(b" " * 1_900_000)
    assert problem(rest(connection)) == (b"408", "urn:sfm:error:request-timeout")


def test_a_chunked_body_without_an_end_is_cut_off(say: Say) -> None:
    connection = say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    drip(connection, b"1\r\n \r\n" * 1000)
    assert problem(rest(connection)) == (b"408", "urn:sfm:error:request-timeout")


def test_a_head_without_an_end_is_refused(say: Say) -> None:
    connection = say(b"GET / HTTP/1.1\r\n")
    assert is_cut_off(connection, b"X-Y: %s\r\n" % (b"x" * 1000))


def test_what_follows_a_body_has_an_end(say: Say) -> None:
    connection = say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n")
    assert is_cut_off(connection, b"X-Y: %s\r\n" % (b"x" * 1000))


def test_a_body_that_nobody_wants_any_more_has_an_end(say: Say) -> None:
    head = b"POST /no-such-thing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection = say(head)
    assert is_cut_off(connection, b"3e8\r\n" + b"x" * 1000 + b"\r\n")


def test_the_second_request_of_a_connection_is_waited_for_no_longer(say: Say) -> None:
    connection = say(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200 OK" in connection.recv(65536)
    drip(connection, b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 100)
    assert problem(rest(connection)) == (b"408", "urn:sfm:error:request-timeout")


def test_half_a_head_takes_nothing_from_the_answer_before_it(say: Say) -> None:
    waits = b"GET /events/page?wait_seconds=2 HTTP/1.1\r\nHost: x\r\n\r\n"
    connection = say(waits + b"GET /healthz HT")
    answers = rest(connection)
    assert answers.startswith(b"HTTP/1.1 200 OK")
    assert b'"events":[]' in answers


def test_an_idle_connection_is_kept_for_the_next_request(say: Say, impatient: Server) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    connection = say(request)
    for _ in range(2):
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65536)
        assert b"200 OK" in answer
        # As above; longer than a head may take.
        time.sleep(0.7)  # noqa: TID251
        connection.sendall(request)
    assert ask(impatient, "GET", "/healthz").is_success


def test_who_takes_nothing_of_an_export_is_cut_off(say: Say, impatient: Server) -> None:
    text = "x" * 900_000
    for part in range(3):
        items = [{"coord": f"{part},{n}", "payload": {"text": text}} for n in range(5)]
        assert ask(impatient, "POST", "/store_bulk", items=items).is_success
    connection = say(b"GET /export_memories HTTP/1.1\r\nHost: x\r\n\r\n")
    until(lambda: "is cut off" in impatient.log.read_text())
    assert len(rest(connection)) < 13_000_000
    until(lambda: "sfm_http_requests_in_flight 1.0" in ask(impatient, "GET", "/metrics").text)


def test_connections_beyond_the_limit_are_refused(impatient: Server) -> None:
    in_time, answers = False, list[bytes]()
    while not in_time:
        with ExitStack() as opened:
            began = time.monotonic()
            connections = [opened.enter_context(connect(impatient)) for _ in range(12)]
            # Else the first ones may have been closed before there were others.
            in_time = time.monotonic() - began < IN_TIME_SECONDS
            answers = [rest(one) for one in connections]
    refused = [answer for answer in answers if answer]
    assert len(refused) >= 4
    assert {problem(answer) for answer in refused} == {(b"503", "urn:sfm:error:overloaded")}
    assert ask(impatient, "GET", "/healthz").is_success
