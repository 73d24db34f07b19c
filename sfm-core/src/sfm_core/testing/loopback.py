"""Ports of this machine for the servers that tests start."""

from __future__ import annotations

import atexit
import secrets
import socket
from pathlib import Path

_HOST = "127.0.0.1"
_FIRST, _LAST = 10_000, 65_535
_BLOCK = 50
"""How many ports a process takes for itself at once."""

_GIVEN_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""Where Linux says which ports it gives to connections."""

_USUALLY_GIVEN_OUT = (49_152, 65_535)
"""The dynamic ports of RFC 6335, which other systems give out."""

_left: list[int] = []


def free_port() -> int:
    """Find a port on which a server can be started, stopped and started again.

    Nobody listens there, and while the server is down no connection of any
    process takes the port either: it is none of those that the system gives
    out by itself, as it would when asked for port 0. No other process that
    asks this function is given it as long as this one runs.

    Returns:
        A port of the loopback interface, another one each time.

    Raises:
        OSError: No port is free.
    """
    while True:
        while _left:
            port = _left.pop()
            if _is_free(port):
                return port
        _left.extend(_claim())


def _claim() -> range:
    """Take a block of ports that no other process has taken."""
    first, last = _range_given_out()
    blocks = [
        begin
        for begin in range(_FIRST, _LAST - _BLOCK, _BLOCK)
        if begin + _BLOCK <= first or begin > last
    ]
    while blocks:
        # Not by `random`: where tests run side by side, all draw with the same seed.
        begin = blocks.pop(secrets.randbelow(len(blocks)))
        sign = socket.socket(type=socket.SOCK_DGRAM)
        try:
            # Datagrams have ports of their own, so this keeps no server from listening, and the
            # system takes the sign down when the process ends, however it does.
            sign.bind((_HOST, begin))
        except OSError:
            sign.close()
            continue
        atexit.register(sign.close)
        return range(begin, begin + _BLOCK)
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
