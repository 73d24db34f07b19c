"""What every request passes on its way to an endpoint, from the outside in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware

from sfm_server.access.browsers import PageGuard
from sfm_server.access.rules import Rule, RuleTable
from sfm_server.auth import Gate, Identifier
from sfm_server.limiting.headers import SecurityHeaders
from sfm_server.limiting.heads import HeadAnswers
from sfm_server.limiting.rate import RateLimiter
from sfm_server.limiting.work import WorkLimiter
from sfm_server.settings import Settings

if TYPE_CHECKING:
    from sfm_server.app import MemoryApp

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SENT = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "X-Request-ID",
    "X-SFM-Namespace",
    "traceparent",
    "tracestate",
)
_SHOWN = (
    "ETag",
    "Location",
    "RateLimit-Limit",
    "RateLimit-Policy",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Request-ID",
)


def guard(app: MemoryApp, rules: Mapping[tuple[str, str], Rule]) -> None:
    """Have every request pass what identifies, counts, refuses and bounds it.

    Args:
        app: The application.
        rules: What each endpoint asks for, by method and path template.
    """
    settings: Settings = app.state.settings
    # The one that is added last is the first to see a request.
    app.add_middleware(HeadAnswers)
    app.add_middleware(WorkLimiter, settings=settings)
    app.add_middleware(Gate, authority=app.state.authority, routes=lambda: app.routes)
    if not settings.authenticates:
        app.add_middleware(PageGuard, settings=settings)
    if settings.rate_limit_max:
        app.add_middleware(RateLimiter, ledger=app.state.ledger)
    app.add_middleware(Identifier, authority=app.state.authority, rules=RuleTable(rules))
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=_METHODS,
            allow_headers=_SENT,
            expose_headers=_SHOWN,
        )
    app.add_middleware(SecurityHeaders)
