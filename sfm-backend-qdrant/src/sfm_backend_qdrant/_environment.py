"""Where the server is, when the URL leaves it to environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sfm_core.errors import ConfigurationError

URL_OPTION: Final = "QDRANT_URL"
HOST_OPTION: Final = "QDRANT_HOST"
PORT_OPTION: Final = "QDRANT_PORT"
GRPC_PORT_OPTION: Final = "QDRANT_GRPC_PORT"
TLS_OPTION: Final = "QDRANT_TLS"

OPTIONS: Final[Mapping[str, str]] = {
    URL_OPTION: "The server of a bare `qdrant:`: http(s)://host:6333, or qdrant(s)://host:6333.",
    HOST_OPTION: "Host of the server, where `QDRANT_URL` is not set. Default: qdrant.",
    PORT_OPTION: "HTTP port of the server, where `QDRANT_URL` is not set. Default: 6333.",
    GRPC_PORT_OPTION: "gRPC port of the server. Default: 6334.",
    TLS_OPTION: "Whether connections are encrypted: true or false. Default: as the URL says.",
    "QDRANT_API_KEY": "The key that every request carries.",
}
"""What the factory reads beside its URL."""

SCHEME: Final = "qdrant"
TLS_SCHEME: Final = "qdrants"
DEFAULT_HOST: Final = "qdrant"
DEFAULT_PORT: Final = "6333"
LARGEST_PORT: Final = 65_535

_SCHEMES: Final = {"http": SCHEME, "https": TLS_SCHEME, SCHEME: SCHEME, TLS_SCHEME: TLS_SCHEME}
_HOST: Final = re.compile(r"[\w.-]+")
_ON: Final = frozenset({"true", "1", "yes", "on"})
_OFF: Final = frozenset({"false", "0", "no", "off", ""})


def is_bare(parts: SplitResult) -> bool:
    """Tell whether a URL names no server, as `qdrant:` does."""
    return not (parts.netloc or parts.path)


def completed(bare: SplitResult, options: Mapping[str, str]) -> SplitResult:
    """Write out a bare URL.

    Args:
        bare: The bare URL. The options in its query count more than those of
            `QDRANT_URL`, and these more than `QDRANT_GRPC_PORT`.
        options: Environment variables by name; an empty one counts as not set.

    Returns:
        A URL that names the server.

    Raises:
        ConfigurationError: A variable has an impossible value, or two
            contradict each other.
    """
    encrypted = bare.scheme == TLS_SCHEME or _wants_tls(options)
    server = _server(options, encrypted=encrypted)
    queries = [server.query, bare.query]
    if options.get(GRPC_PORT_OPTION):
        queries.insert(0, f"grpc_port={_port(GRPC_PORT_OPTION, options)}")
    return server._replace(query="&".join(filter(None, queries)), fragment=bare.fragment)


def _server(options: Mapping[str, str], *, encrypted: bool) -> SplitResult:
    if options.get(URL_OPTION):
        return _from_url(options[URL_OPTION], encrypted=encrypted)
    place = f"{_host(options)}:{_port(PORT_OPTION, options) or DEFAULT_PORT}"
    return SplitResult(TLS_SCHEME if encrypted else SCHEME, place, "", "", "")


def _from_url(url: str, *, encrypted: bool) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    scheme = _SCHEMES.get(parts.scheme)
    # The URL itself is in no message: it may hold a credential.
    if scheme is None or not parts.hostname or parts.fragment:
        raise ConfigurationError(
            f"{URL_OPTION} names no server.",
            setting=URL_OPTION,
            remedy='Write "http://host:6333" or "https://host:6333".',
        )
    if encrypted and scheme != TLS_SCHEME:
        raise ConfigurationError(
            f"{URL_OPTION} is not encrypted, and {TLS_OPTION} or SFM_VECTOR_URL says it should be.",
            setting=URL_OPTION,
            remedy='Let it begin with "https://".',
        )
    return parts._replace(scheme=scheme)


def _host(options: Mapping[str, str]) -> str:
    host = options.get(HOST_OPTION) or DEFAULT_HOST
    if _HOST.fullmatch(host):
        return host
    with suppress(ValueError):
        return f"[{IPv6Address(host.strip('[]'))}]"
    raise ConfigurationError(
        f"{HOST_OPTION}={host} is no host.",
        setting=HOST_OPTION,
        remedy=f"Name the host alone; the port belongs in {PORT_OPTION}.",
    )


def _port(name: str, options: Mapping[str, str]) -> str:
    value = options.get(name, "")
    number = int(value) if value.isascii() and value.isdecimal() else 0
    if value and not 0 < number <= LARGEST_PORT:
        kubernetes = (
            " Kubernetes sets it for a service named qdrant: set enableServiceLinks: false."
        )
        raise ConfigurationError(
            f"{name}={value} is no port.",
            setting=name,
            remedy=f"Give a number from 1 to {LARGEST_PORT}."
            + (kubernetes if value.startswith("tcp://") else ""),
        )
    return value


def _wants_tls(options: Mapping[str, str]) -> bool:
    value = options.get(TLS_OPTION, "").lower()
    if value not in _ON | _OFF:
        raise ConfigurationError(
            f"{TLS_OPTION}={value} is neither true nor false.",
            setting=TLS_OPTION,
            remedy="Write true or false.",
        )
    return value in _ON
