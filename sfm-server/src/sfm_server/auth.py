"""Who may use the API: finds out who a request comes from, and refuses what is not allowed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from sfm_core.errors import SfmError
from sfm_server.access.authority import Authority
from sfm_server.access.endpoints import RULES
from sfm_server.access.rules import RuleTable, Where
from sfm_server.access.visit import Visit, remember_visit, visit_of
from sfm_server.problems import (
    ForbiddenError,
    UnauthorizedError,
    UnavailableError,
    problem_response,
)

log = logging.getLogger(__name__)

OPEN_PATHS = frozenset(path for (_, path), rule in RULES.items() if rule.role is None)
"""What probes, scrapers and readers of the documentation need; none of it shows a memory."""
_POLICY_VIOLATION = 1008


def may_see_details(scope: Scope) -> bool:
    """Tell whether who asks looks after the whole server, or needs no token."""
    return visit_of(scope).sees_details


class Identifier:
    """Notes of each request who sends it and which endpoint it is for; refuses nothing."""

    def __init__(self, app: ASGIApp, *, authority: Authority, rules: RuleTable) -> None:
        """Note it for `app`."""
        self._app = app
        self._authority = authority
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with what is known of it."""
        if scope["type"] == "http":
            remember_visit(scope, await self._visit(scope))
        await self._app(scope, receive, send)

    async def _visit(self, scope: Scope) -> Visit:
        found = self._rules.find(scope)
        try:
            caller = await self._authority.identify(scope["headers"])
        except (UnauthorizedError, UnavailableError) as refusal:
            return Visit(authority=self._authority, found=found, caller=None, refusal=refusal)
        return Visit(authority=self._authority, found=found, caller=caller)


class Gate:
    """Refuses requests before anything of them is read; what no rule names is refused too."""

    def __init__(
        self, app: ASGIApp, *, authority: Authority, routes: Callable[[], Sequence[BaseRoute]]
    ) -> None:
        """Guard `app`, whose endpoints are `routes`."""
        self._app = app
        self._authority = authority
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with status 401 or 403."""
        if scope["type"] == "websocket" and self._authority.required:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        if scope["type"] == "http":
            refusal = self._refusal(scope, visit_of(scope))
            if refusal is not None:
                await problem_response(refusal, scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, visit: Visit) -> SfmError | None:
        rule = visit.rule
        if not visit.required or rule.role is None:
            return None
        if visit.caller is None:
            return visit.refusal
        if visit.found is None:
            return self._undeclared(scope)
        if rule.where is Where.EVERYWHERE:
            held = visit.caller.may_everywhere(rule.role)
        else:
            held = visit.caller.may_somewhere(rule.role)
        if held:
            return None
        place = " in every namespace" if rule.where is Where.EVERYWHERE else ""
        return ForbiddenError(
            f"The token does not hold the role {rule.role}{place}, which this takes.",
            remedy="Use a token that does.",
        )

    def _undeclared(self, scope: Scope) -> SfmError | None:
        if not any(route.matches(scope)[0] is Match.FULL for route in self._routes()):
            # What does not exist is told so by the router.
            return None
        log.error("%s %r is refused: no rule says who may use it", scope["method"], scope["path"])
        return ForbiddenError("No rule says who may use this endpoint, so nobody may.")
