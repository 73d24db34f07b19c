"""A real HTTP server that receives webhooks and answers as a test tells it to."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sfm_core.model.cloudevents import parse_cloudevent
from sfm_core.model.events import Event

Behave = Callable[[Event, int], Awaitable[Response | None]]
"""Answers an event that came for the so-many-th time; `None` takes it."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What was posted."""

    event: Event
    body: bytes
    headers: Mapping[str, str]


class Receiver:
    """Notes what is posted to it.

    Attributes:
        requests: Everything that was posted, in order of arrival.
        taken: The events that were answered with success, in order.
        busiest: How many requests were under way at most.
    """

    def __init__(self) -> None:
        self.requests: list[Posted] = []
        self.taken: list[Event] = []
        self.busiest = 0
        self.behave: Behave = take
        self._times: Counter[str] = Counter()
        self._busy = 0

    @property
    def versions(self) -> dict[str, list[int]]:
        """The versions of each subject in the order in which they were taken."""
        found: dict[str, list[int]] = defaultdict(list)
        for event in self.taken:
            found[event.subject].append(event.version)
        return dict(found)

    def app(self) -> Starlette:
        """Return the application."""
        return Starlette(routes=[Route("/{path:path}", self._receive, methods=["POST", "GET"])])

    async def _receive(self, request: Request) -> Response:
        self._busy += 1
        self.busiest = max(self.busiest, self._busy)
        try:
            body = await request.body()
            event = parse_cloudevent(msgspec.json.decode(body))
            self.requests.append(Posted(event, body, dict(request.headers)))
            self._times[event.id] += 1
            answer = await self.behave(event, self._times[event.id])
            if answer is None:
                self.taken.append(event)
            return answer or Response(status_code=204)
        finally:
            self._busy -= 1


async def take(event: Event, times: int) -> Response | None:  # noqa: ARG001 - a behaviour
    """Take everything."""
    return None


def failing_first(status: int, times: int = 1, **headers: str) -> Behave:
    """Return a behaviour that answers each event so many times with a status before it takes it."""

    async def behave(event: Event, count: int) -> Response | None:  # noqa: ARG001 - a behaviour
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response(status_code=status, headers=named) if count <= times else None

    return behave


@asynccontextmanager
async def serving(receiver: Receiver) -> AsyncGenerator[str]:
    """Serve on a free port of this machine; yield the URL."""

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            receiver.app(),
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        server = Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
