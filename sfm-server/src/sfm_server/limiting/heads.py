"""Answers HEAD where GET is answered to everybody, as monitors and balancers ask."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sfm_server.access.visit import visit_of


class HeadAnswers:
    """Answers HEAD as GET, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        """Ask `app`, which knows GET only."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; one for the head of what is open to everybody, as one for all."""
        asked = scope["type"] == "http" and scope["method"] == "HEAD"
        found = visit_of(scope).found if asked else None
        if found is None or found.rule.role is not None:
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_head)
