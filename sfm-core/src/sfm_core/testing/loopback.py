"""Ports of this machine for the servers that tests start."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

_HOST = "127.0.0.1"
_FIRST, _LAST = 10_000, 65_535
_TRIES = 1_000
_GIVEN_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""Where Linux says which ports it gives to connections."""

_USUALLY_GIVEN_OUT = (49_152, 65_535)
"""The dynamic ports of RFC 6335, which other systems give out."""

_handed_out: set[int] = set()


def free_port() -> int:
    """Find a port on which a server can be started, stopped and started again.

    Nobody listens there, and while the server is down no connection of any
    process takes the port either: it is none of those that the system gives
    out by itself, as it would when asked for port 0.

    Returns:
        A port of the loopback interface, another one each time.

    Raises:
        OSError: No port is free.
    """
    first, last = _range_given_out()
    ports = [*range(_FIRST, first), *range(last + 1, _LAST + 1)]
    for _ in range(_TRIES if ports else 0):
        # Not by `random`: where tests run side by side, all draw with the same seed.
        port: int = secrets.choice(ports)
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            return port
    raise OSError(f"No port from {_FIRST} on is free that the system does not give out itself.")


def _range_given_out() -> tuple[int, int]:
    try:
        first, last = _GIVEN_OUT.read_text(encoding="ascii").split()
    except OSError:
        return _USUALLY_GIVEN_OUT
    return int(first), int(last)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True
