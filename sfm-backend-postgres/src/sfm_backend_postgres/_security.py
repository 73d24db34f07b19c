"""What a connection must have where encryption and credentials are required."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TypeAlias

from sfm_backend_postgres._variables import ADDRESS, TLS_CERT, TLS_MODE
from sfm_core.errors import ConfigurationError

Options: TypeAlias = "Mapping[str, str | int | None]"
"""What libpq is told, under its names."""

# `require` encrypts, but takes every server for the right one.
_VERIFYING = frozenset({"verify-ca", "verify-full"})
_CREDENTIALS = ("password", "passfile", "sslcert")
_SYSTEM = "system"
_STRICTEST = "verify-full"


def with_certificates_of_the_system(given: Options) -> Options:
    """Say where the certificates of the system are, where they are what is trusted.

    The driver's wheels bring an OpenSSL that looks for them where it was built.

    Args:
        given: What the URL and the environment say, under libpq's names.

    Returns:
        The same, with the file that Python would take for `sslrootcert=system`,
        if there is one, and the mode that libpq allows with it alone.
    """
    mode = given.get("sslmode", _STRICTEST)
    if given.get("sslrootcert") != _SYSTEM or mode != _STRICTEST:
        return given
    file = ssl.get_default_verify_paths().cafile
    return {**given, "sslmode": mode, "sslrootcert": file or _SYSTEM}


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
