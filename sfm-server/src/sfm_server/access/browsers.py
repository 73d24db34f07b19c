"""Keeps pages of other origins from using a server that asks for no token.

Where a token is needed, a page of somebody else has none. Where none is needed, whoever
looks at that page could have their own server written to, or, if the page's host name is
made to point to this machine (DNS rebinding), read.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sfm_server.access.visit import visit_of
from sfm_server.problems import ForeignOriginError, problem_response
from sfm_server.settings import Settings

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ANY = "*"
_LOOPBACK = "localhost"


class PageGuard:
    """Refuses what only a page of another origin would send."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        """Guard `app`, where nobody needs a token."""
        self._app = app
        self._origins = frozenset(settings.cors_origins)
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        # Somebody who listens on other addresses too has names of their own for them.
        self._any_host = _ANY in self._hosts or not _is_loopback(settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with status 403."""
        if scope["type"] != "http" or not visit_of(scope).rule.rated:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await problem_response(refusal, scope["path"])(scope, receive, send)

    def _refusal(self, method: str, headers: Headers) -> ForeignOriginError | None:
        host = headers.get("host", "")
        if not self._any_host and not self._is_ours(_name_of(host)):
            return ForeignOriginError(
                f"The server does not go by the name {_name_of(host)[:80]!r}.",
                remedy="Name it in SFM_ALLOWED_HOSTS, or set SOMA_API_TOKEN.",
            )
        if method not in _SAFE and self._is_foreign(headers, host):
            return ForeignOriginError(
                "A page of another origin sends this.",
                remedy="Name its origin in SFM_CORS_ORIGINS.",
            )
        return None

    def _is_ours(self, name: str) -> bool:
        """Tell whether a name is one that nobody else's page can have."""
        return (
            "." not in name
            or name.endswith(f".{_LOOPBACK}")
            or name in self._hosts
            or _is_address(name)
        )

    def _is_foreign(self, headers: Headers, host: str) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") == "cross-site"
        if origin in self._origins or _ANY in self._origins:
            return False
        return urlsplit(origin).netloc.lower() != host.lower()


def _name_of(host: str) -> str:
    """Return a Host header without its port."""
    return host.lower() if host.endswith("]") else host.rpartition(":")[0].lower() or host.lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host.lower() == _LOOPBACK or (_is_address(host) and ip_address(host).is_loopback)
