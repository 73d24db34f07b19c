"""Refuses requests that go beyond the limit per minute, and tells of it in headers."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sfm_server.access.visit import visit_of
from sfm_server.limiting.counted import counted_as
from sfm_server.limiting.ledger import WINDOW, Ledger, Verdict
from sfm_server.problems import TooManyRequestsError, problem_response

_ELSEWHERE = "elsewhere"


class RateLimiter:
    """Counts each request before anything of it is done."""

    def __init__(self, app: ASGIApp, *, ledger: Ledger) -> None:
        """Let through to `app` what `ledger` allows."""
        self._app = app
        self._ledger = ledger
        self._always = (
            (b"ratelimit-policy", b"%d;w=%d" % (ledger.limit, WINDOW)),
            (b"ratelimit-limit", b"%d" % ledger.limit),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with status 429."""
        visit = visit_of(scope) if scope["type"] == "http" else None
        if visit is None or not visit.rule.rated:
            await self._app(scope, receive, send)
            return
        endpoint = _ELSEWHERE if visit.found is None else f"{scope['method']} {visit.found.path}"
        verdict = await self._ledger.take(counted_as(scope), endpoint)
        headers = self._headers(verdict)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        if verdict.allowed:
            await self._app(scope, receive, send_with_headers)
            return
        error = TooManyRequestsError(
            f"More than {self._ledger.limit} requests to this endpoint in a minute.",
            wait_seconds=verdict.reset_seconds,
            remedy="Wait as long as Retry-After says; bulk endpoints take many items at once.",
        )
        await problem_response(error, scope["path"])(scope, receive, send_with_headers)

    def _headers(self, verdict: Verdict) -> list[tuple[bytes, bytes]]:
        return [
            *self._always,
            (b"ratelimit-remaining", b"%d" % verdict.remaining),
            (b"ratelimit-reset", b"%d" % verdict.reset_seconds),
        ]
