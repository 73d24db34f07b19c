"""Bounds how much is worked on at once, each kind of work by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sfm_server.access.rules import Where, Work
from sfm_server.access.visit import visit_of
from sfm_server.limiting.counted import counted_as
from sfm_server.limiting.pools import Arriving, Pool
from sfm_server.problems import OverloadedError, problem_response
from sfm_server.settings import Settings

_HELD_FOR_LONG = frozenset({Work.STREAM, Work.ADMIN})
"""Of these, one caller gets half of the places at most; of others, half of places and queue."""


class _Turn:
    """One request on its way to a place: it takes one when its body is there.

    A body that arrives slowly keeps no place from those that are whole. Where
    there is none to wait for, or where it is worked on while it arrives, a
    place is needed from the start.
    """

    def __init__(self, pool: Pool, caller: str, arriving: Arriving, receive: Receive) -> None:
        self._pool = pool
        self._caller = caller
        self._arriving = arriving
        self._receive = receive
        self._held = 0
        self._inside = False

    async def enter(self) -> None:
        await self._pool.enter(self._caller)
        self._inside = True

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not self._inside:
            count = len(message.get("body", b""))
            self._arriving.take(self._caller, count)
            self._held += count
            if not message.get("more_body", False):
                await self.enter()
        return message

    def leave(self) -> None:
        self._arriving.give_back(self._caller, self._held)
        if self._inside:
            self._pool.leave(self._caller)


class WorkLimiter:
    """Lets so much work begin at once, and has the rest wait a little or refuses it."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        """Bound the work of `app`."""
        self._app = app
        # Half of the room has to be enough for the largest body.
        room = max(settings.max_arriving_bytes, 2 * settings.max_body_bytes)
        self._arriving = Arriving(room)
        waiting = settings.max_waiting
        patience = timedelta(seconds=settings.max_wait_seconds)
        places = {
            Work.READ: settings.max_reads,
            Work.WRITE: settings.max_writes,
            Work.STREAM: settings.max_streams,
            Work.ADMIN: settings.max_admin,
        }
        self._pools: Mapping[Work, Pool] = {
            work: Pool(
                count,
                waiting=waiting,
                patience=patience,
                share=max(1, (count if work in _HELD_FOR_LONG else count + waiting) // 2),
            )
            for work, count in places.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request when it is its turn, or refuse it with status 503."""
        visit = visit_of(scope) if scope["type"] == "http" else None
        pool = None if visit is None else self._pools.get(visit.rule.work)
        if visit is None or pool is None:
            await self._app(scope, receive, send)
            return
        turn = _Turn(pool, counted_as(scope), self._arriving, receive)
        try:
            if visit.rule.where is not Where.BODY:
                await turn.enter()
        except OverloadedError as error:
            await problem_response(error, scope["path"])(scope, receive, send)
            return
        try:
            await self._app(scope, turn.receive, send)
        finally:
            turn.leave()
