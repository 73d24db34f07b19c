"""What a connection must have where encryption and credentials are required."""

from __future__ import annotations

from collections.abc import Mapping

from sfm_backend_postgres._variables import ADDRESS, TLS_CERT, TLS_MODE
from sfm_core.errors import ConfigurationError

# `require` encrypts, but takes every server for the right one.
_VERIFYING = frozenset({"verify-ca", "verify-full"})
_CREDENTIALS = ("password", "passfile", "sslcert")


def check_security(given: Mapping[str, object]) -> None:
    """Refuse a connection that could be read, redirected or made without credentials.

    Args:
        given: What the URL and the environment say, under libpq's names.

    Raises:
        ConfigurationError: Something is lacking; it names the variable.
    """
    if not _all_over_tcp(given):
        raise ConfigurationError(
            "This mode requires encryption, and a connection through a socket has none.",
            setting=ADDRESS,
            remedy=f"Name a host in {ADDRESS}.",
        )
    mode = given.get("sslmode")
    if mode not in _VERIFYING:
        raise ConfigurationError(
            "This mode requires TLS that verifies the server, "
            + (f"and sslmode={mode} does not." if mode else "and no TLS mode is set."),
            setting=TLS_MODE,
            remedy=f"Set {TLS_MODE}=verify-full (or verify-ca, which does not compare the name of "
            f"the host), and leave another sslmode out of {ADDRESS}.",
        )
    if not any(given.get(name) for name in _CREDENTIALS):
        raise ConfigurationError(
            "This mode requires credentials, and there are none for PostgreSQL.",
            setting=ADDRESS,
            remedy=f"Put user and password into {ADDRESS}, or name a client's certificate in "
            f"{TLS_CERT}.",
        )


def _all_over_tcp(given: Mapping[str, object]) -> bool:
    hosts = str(given.get("hostaddr") or given.get("host") or "").split(",")
    return all(host and not host.startswith(("/", "@")) for host in hosts)
