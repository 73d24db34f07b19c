"""URL schemes, and the environment variables that say where and how to connect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SCHEME: Final = "postgresql"
SHORT_SCHEME: Final = "postgres"
ADDRESS: Final = "POSTGRES_URL"
TLS_MODE: Final = "POSTGRES_SSL_MODE"
TLS_ROOT_CERT: Final = "POSTGRES_SSL_ROOT_CERT"
TLS_CERT: Final = "POSTGRES_SSL_CERT"
TLS_KEY: Final = "POSTGRES_SSL_KEY"

OPTIONS: Final[Mapping[str, str]] = {
    ADDRESS: "The database of a bare `postgresql:`, as a URL.",
    TLS_MODE: "How TLS is used: disable, allow, prefer, require, verify-ca or verify-full.",
    TLS_ROOT_CERT: "File with the certificates of those who may sign the server's, or system.",
    TLS_CERT: "File with the client's certificate.",
    TLS_KEY: "File with the key of the client's certificate.",
}
"""What the factories read beside their URL."""


def is_bare(url: str) -> bool:
    """Tell whether a URL is a scheme alone, perhaps with options, so that it names no server."""
    _, _, rest = url.partition(":")
    return not rest or rest.startswith("?")
