"""Headers that keep browsers from doing with an answer what it is not for."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    # Memories are nobody's business but the caller's.
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_DOCS = "/docs"
# The page of the documentation loads its own scripts and styles, and asks this server.
_OF_DOCS = (
    b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; connect-src 'self'; "
    b"img-src 'self' data:; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
)


class SecurityHeaders:
    """Adds the headers to every answer that does not say otherwise itself."""

    def __init__(self, app: ASGIApp) -> None:
        """Add them to the answers of `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own = [(b"content-security-policy", _OF_DOCS)] if scope["path"].endswith(_DOCS) else []

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [*message.get("headers", ()), *own]
                known = {name.lower() for name, _ in given}
                more = [(name, value) for name, value in _ALWAYS if name not in known]
                message["headers"] = [*given, *more]
            await send(message)

        await self._app(scope, receive, send_with_headers)
