"""Endpoints that tell what changed."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse

from sfm_core import errors
from sfm_core.model.cloudevents import cloudevent
from sfm_core.model.events import EventPage, EventType
from sfm_server import wire
from sfm_server.closing import until
from sfm_server.context import JsonAnswer, NamedContext, PlainContext
from sfm_server.limits import JsonRoute
from sfm_server.problems import UnavailableError
from sfm_server.routes.documented import ResponseDocs, failures
from sfm_server.schemas import requests
from sfm_server.schemas.events import EventsAnswer, ReplayAnswer

log = logging.getLogger(__name__)

router = APIRouter(route_class=JsonRoute, tags=["events"])

HEARTBEAT = timedelta(seconds=15)
"""How long a stream is silent at most, so that nobody on the way takes it for dead."""

_AT_ONCE = 500
_LONGEST_WAIT = 60
_NOW = "now"
_FOLLOWING = failures(errors.EventsOffError, errors.EventsGoneError)
_MEDIA_TYPE = "text/event-stream"
# Without a schema, which would be of one event to some readers, and of the stream to others.
_STREAM: ResponseDocs = {200: {"content": {_MEDIA_TYPE: {}}}}
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""So that nobody on the way keeps a stream, or waits for its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events a request is for.

    Attributes:
        namespace: Whose; `None` for everybody's.
        after: Where to begin.
        types: Which kinds; all where it is `None`.
    """

    namespace: str | None
    after: str
    types: list[EventType] | None


async def _wanted(
    *,
    context: NamedContext,
    after: Annotated[
        str,
        Query(description="Where to begin: a position, `start` for all there is, or `now`."),
    ] = _NOW,
    types: Annotated[
        list[EventType] | None, Query(description="Only these types; all when it is left out.")
    ] = None,
    all_namespaces: Annotated[
        bool, Query(description="Everybody's events instead of one namespace's.")
    ] = False,
) -> Wanted:
    if all_namespaces:
        context.visit.everywhere()
    return Wanted(namespace=None if all_namespaces else context.fallback, after=after, types=types)


WantedEvents = Annotated[Wanted, Depends(_wanted)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stream:
    """A stream whose first page has been read, so that it can fail no more at its beginning."""

    first: EventPage
    rest: AsyncGenerator[EventPage]
    admitted: Callable[[], bool]


async def _stream(
    request: Request,
    context: NamedContext,
    wanted: WantedEvents,
    last_event_id: Annotated[
        str | None, Header(description="Where to go on; stands above `after`.")
    ] = None,
) -> AsyncGenerator[_Stream]:
    pages = context.engine.follow_events(
        wanted.namespace,
        after=last_event_id or wanted.after,
        types=wanted.types,
        limit=min(_AT_ONCE, context.settings.max_page),
        idle=HEARTBEAT,
    )
    async with aclosing(until(request.app.state.closing, pages)) as rest:
        yield _Stream(first=await _first(rest), rest=rest, admitted=context.visit.admitted)


async def _first(pages: AsyncGenerator[EventPage]) -> EventPage:
    page = await anext(pages, None)
    if page is None:
        raise UnavailableError("The server is stopping.", remedy="Try again.")
    return page


@router.get("/events", response_class=StreamingResponse, responses=_STREAM | _FOLLOWING)
async def events(stream: Annotated[_Stream, Depends(_stream)]) -> StreamingResponse:
    """Follow what changes, as Server-Sent Events.

    `id` is the position of an event, from where a client goes on by itself with
    `Last-Event-ID`; `event` is its type, `data` the document of CloudEvents 1.0.
    """
    # Not left to the framework, which logs a fault when a client leaves.
    return StreamingResponse(_told(stream), media_type=_MEDIA_TYPE, headers=_HEADERS)


@router.get("/events/page", response_model=EventsAnswer, responses=_FOLLOWING)
async def page(
    request: Request,
    context: NamedContext,
    wanted: WantedEvents,
    limit: Annotated[int, Query(ge=1, description="Most events to return.")] = 100,
    wait_seconds: Annotated[
        float, Query(ge=0, le=_LONGEST_WAIT, description="How long to wait for the first one.")
    ] = 0,
) -> JsonAnswer:
    """Read a part of the event log, and where to read on; may wait for the first event."""
    pages = context.engine.follow_events(
        wanted.namespace,
        after=wanted.after,
        types=wanted.types,
        limit=limit,
        idle=timedelta(seconds=wait_seconds),
    )
    async with aclosing(until(request.app.state.closing, pages)) as read:
        found = await _first(read)
        if wait_seconds and not found.events and not found.more:
            found = await anext(read, found)
            # What happened while it waited is told only to who may still hear of it.
            context.visit.readmit()
    return JsonAnswer(wire.events(found))


@router.post(
    "/events/replay",
    response_model=ReplayAnswer,
    responses=failures(errors.EventsOffError, body=True),
)
async def replay(body: requests.ReplayRequest, context: PlainContext) -> JsonAnswer:
    """Tell again what changed since a time; answers when it is done."""
    report = await context.engine.replay_events(
        wire.moment(body.since, field="from"),
        namespaces=await context.listed(body.namespaces),
        dry_run=body.dry_run,
    )
    return JsonAnswer(wire.replay_report(report))


async def _told(stream: _Stream) -> AsyncGenerator[bytes]:
    yield _message(stream.first)
    try:
        async for page in stream.rest:
            if not stream.admitted():
                # Who connects again with a token that was revoked hears why.
                return
            yield _message(page)
    except errors.SfmError as error:
        # The status is sent. Who connects again where he was hears of it, if it is still so.
        log.warning("a stream of events ends: %s: %s", error.code, error)


def _message(page: EventPage) -> bytes:
    """Return what a stream says of a page; one without events tells where it has got to."""
    if not page.events:
        return format_sse_event(id=page.position, comment="")
    return b"".join(
        format_sse_event(
            id=one.position,
            event=one.event.type.value,
            data_str=msgspec.json.encode(cloudevent(one.event)).decode(),
        )
        for one in page.events
    )
