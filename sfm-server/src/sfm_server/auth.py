"""Bearer token: who may use the API."""

from __future__ import annotations

import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from sfm_server.problems import UnauthorizedError, problem_response

OPEN_PATHS = frozenset(
    {
        "/",
        "/docs",
        "/docs/oauth2-redirect",
        "/health",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/readyz",
    }
)
"""What probes, scrapers and readers of the documentation need; none of it shows a memory."""


_ADMITTED = "sfm.admitted"


def may_see_details(scope: Scope) -> bool:
    """Tell whether a request to an open path came with the token, or needs none."""
    return bool(scope.get(_ADMITTED, True))


class TokenGate:
    """Lets requests through that carry the token, before anything of them is read."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        """Guard `app` with `token`."""
        self._app = app
        self._expected = b"bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with status 401."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        admitted = self._admits(scope)
        if admitted or scope["path"] in OPEN_PATHS:
            scope[_ADMITTED] = admitted
            await self._app(scope, receive, send)
            return
        error = UnauthorizedError(
            "The request carries no valid token.",
            remedy="Send `Authorization: Bearer <SOMA_API_TOKEN>`.",
        )
        await problem_response(error, scope["path"])(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1:
            return False
        kind, _, token = given[0].partition(b" ")
        # Compared in constant time: how long it takes must not tell how much was right.
        return hmac.compare_digest(kind.lower() + b" " + token.strip(), self._expected)
