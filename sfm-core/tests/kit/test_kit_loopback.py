"""Ports for the servers that tests start."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import ExitStack

from sfm_core.testing.loopback import free_port


def test_a_server_can_listen_on_the_port_again_and_again() -> None:
    port = free_port()
    for _ in range(2):
        with (
            socket.create_server(("127.0.0.1", port)),
            socket.create_connection(("127.0.0.1", port)),
        ):
            pass


def test_no_port_is_handed_out_twice() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_no_port_is_handed_out_by_two_processes() -> None:
    # As many as a run of all tests asks for, and nobody listens on any of them yet.
    program = (
        "import json, sys; from sfm_core.testing.loopback import free_port;"
        "print(json.dumps([free_port() for _ in range(1000)]), flush=True); sys.stdin.read()"
    )
    told: list[list[int]] = []
    with ExitStack() as stack:
        for _ in range(3):
            asking = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            )
            assert asking.stdout
            told.append(json.loads(asking.stdout.readline()))
    assert len(set[int]().union(*told)) == sum(map(len, told))


def test_no_port_is_one_that_the_system_gives_out() -> None:
    given = set[int]()
    with ExitStack() as stack:
        for _ in range(200):
            asking = stack.enter_context(socket.socket())
            asking.bind(("127.0.0.1", 0))
            given.add(asking.getsockname()[1])

    assert not any(min(given) <= free_port() <= max(given) for _ in range(50))
