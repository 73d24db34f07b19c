"""The application: `create_app(settings)`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from types import MappingProxyType
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from sfm_core.errors import BackendError, SfmError
from sfm_server import lifespan
from sfm_server.access.authority import Authority
from sfm_server.access.endpoints import RULES
from sfm_server.access.rules import Rule
from sfm_server.auth import OPEN_PATHS, may_see_details
from sfm_server.closing import StoppedEarlyError
from sfm_server.limiting.ledger import Ledger
from sfm_server.limiting.waiting import PATIENCE, Patience
from sfm_server.loading import load_settings
from sfm_server.metrics import Metrics
from sfm_server.observing.observer import ServerObserver
from sfm_server.observing.requests import RequestRecorder
from sfm_server.passage import guard
from sfm_server.problems import (
    WITHHELD,
    FieldProblem,
    InternalError,
    InvalidRequestError,
    MethodNotAllowedError,
    NoSuchRouteError,
    OverloadedError,
    Problem,
    RequestError,
    problem_response,
    status_of,
)
from sfm_server.routes import (
    admin,
    docs,
    events,
    graph,
    listings,
    memories,
    memory,
    recall,
    system,
    transfer,
)
from sfm_server.settings import Settings

log = logging.getLogger(__name__)

_NOTHING: Mapping[str, str] = MappingProxyType({})
_DESCRIPTION = (
    "The memory of an agent: store what it lives through, recall what answers a question, "
    "link what belongs together."
)
_ROUTES = (memories, memory, listings, recall, graph, events, system, docs, transfer, admin)
_CLIENT_LEFT = 499
_FORMS = frozenset({"str", "list[float]", "dict[str,any]"})
"""What the validator appends to a location where a field takes several forms."""
_SERVER_ERRORS = 500
_NOT_FOUND = 404
_METHOD_NOT_ALLOWED = 405
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class MemoryApp(FastAPI):
    """The application, with errors and documentation as this project has them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; a start that fails is told in one line instead of a stack trace.

        One that was given up because the server was told to stop is no fault at all.
        """
        if scope["type"] == "http":
            await self.state.recorder(scope, receive, send)
            return
        if scope["type"] != "lifespan":
            await super().__call__(scope, receive, send)
            return

        async def send_briefly(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and self.state.failure:
                message = {"type": message["type"], "message": str(self.state.failure)}
            elif message["type"] == "lifespan.startup.failed" and self.state.stopped_early:
                message = {"type": message["type"], "message": ""}
            await send(message)

        await super().__call__(scope, receive, send_briefly)

    def openapi(self) -> dict[str, object]:
        """Return the OpenAPI document, with the token's scheme where one is needed."""
        if self.state.document is None:
            # A copy, since who asks while a thread makes it is to get all of it.
            document = deepcopy(cast(dict[str, object], super().openapi()))
            components = cast(dict[str, dict[str, object]], document["components"])
            components["schemas"] |= _schemas_of_problems()
            if self.state.authority.required:
                components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                _require_token(document)
            self.state.document = document
        return cast(dict[str, object], self.state.document)


def create_app(
    settings: Settings,
    *,
    options: Mapping[str, str] = _NOTHING,
    extra_plugins: Mapping[str, object] = MappingProxyType({}),
    rules: Mapping[tuple[str, str], Rule] = MappingProxyType({}),
) -> MemoryApp:
    """Make the application.

    Nothing is opened before the application starts; its lifespan opens the
    engine and closes it again.

    Args:
        settings: Settings of the server.
        options: Settings of backends, by variable.
        extra_plugins: Plugins that are not installed, by name.
        rules: What routes that are added to it ask for, by method and path
            template. Where tokens are needed, a route without one is refused.

    Returns:
        An ASGI application.
    """
    app = MemoryApp(
        title="SomaFractalMemory",
        version=system.VERSION,
        description=_DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        # It would send a body, and what it is about, to wherever the Host header says.
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.options = options
    app.state.extra_plugins = extra_plugins
    app.state.metrics = metrics = Metrics()
    app.state.observer = observer = ServerObserver(metrics.work)
    # Outside of everything else, so that no answer is without its id.
    app.state.recorder = RequestRecorder(
        super(MemoryApp, app).__call__, metrics=metrics, observer=observer
    )
    app.state.authority = Authority(settings)
    app.state.ledger = Ledger(settings.rate_limit_max)
    app.state.document = None
    app.state.engine = None
    app.state.keys = None
    app.state.failure = None
    app.state.stopped_early = False
    app.state.quarantined = []
    app.state.closing = asyncio.Event()
    for module in _ROUTES:
        app.include_router(module.router)
    for module in (transfer, admin):
        app.include_router(module.json_router)
    _add_handlers(app)
    guard(app, {**RULES, **rules})
    return app


def from_environment() -> MemoryApp:
    """Make the application from the environment, for servers that take a factory.

    Returns:
        An ASGI application.

    Raises:
        ConfigurationError: A setting cannot be used.
    """
    loaded = load_settings()
    return create_app(loaded.settings, options=loaded.options)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[Mapping[str, object]]:
    memory_app = cast(MemoryApp, app)
    try:
        async with lifespan.run(memory_app):
            yield {PATIENCE: Patience.of(app.state.settings)}
    except SfmError as error:
        app.state.failure = error
        raise
    except StoppedEarlyError:
        app.state.stopped_early = True
        log.info("told to stop before the memory was open")
        raise


def _add_handlers(app: FastAPI) -> None:
    app.add_exception_handler(SfmError, _sfm_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _client_left)
    app.add_exception_handler(Exception, _fault)


async def _sfm_error(request: Request, error: Exception) -> Response:
    known = cast(SfmError, error)
    busy = isinstance(known, OverloadedError)
    if status_of(type(known)).value >= _SERVER_ERRORS and not busy:
        log.warning("%s %s: %s: %s", request.method, request.scope["path"], known.code, known)
    if isinstance(known, BackendError) and not may_see_details(request.scope):
        return problem_response(known, request.scope["path"], detail=WITHHELD)
    return problem_response(known, request.scope["path"])


async def _invalid_request(request: Request, error: Exception) -> Response:
    faults = [
        FieldProblem(field=_field_name(fault["loc"]), message=str(fault["msg"]))
        for fault in cast(RequestValidationError, error).errors()[:20]
    ]
    first = faults[0]
    problem = InvalidRequestError(
        f"{first.field or 'The body'}: {first.message}.",
        remedy="See /docs for what the endpoint takes.",
    )
    return problem_response(problem, request.scope["path"], faults=faults)


def _field_name(location: tuple[int | str, ...]) -> str:
    """Write a location as the caller would: without "body", and `[3]` for places."""
    name = ""
    for part in location[1:]:
        if part not in _FORMS:
            name += f"[{part}]" if isinstance(part, int) else f".{part}"
    return name.lstrip(".").encode(errors="replace").decode()[:200]


async def _http_error(request: Request, error: Exception) -> Response:
    known = cast(HTTPException, error)
    problem: RequestError
    if known.status_code == _NOT_FOUND:
        problem = NoSuchRouteError("There is no such endpoint.", remedy="See /docs.")
    elif known.status_code == _METHOD_NOT_ALLOWED:
        problem = MethodNotAllowedError(
            f"The endpoint does not know {request.method}.", remedy="See /docs."
        )
    else:
        problem = InvalidRequestError(str(known.detail), remedy="See /docs.")
    response = problem_response(problem, request.scope["path"])
    response.headers.update(known.headers or {})
    if known.status_code == _METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_methods_of(request))
    return response


def _methods_of(request: Request) -> list[str]:
    """Return what an endpoint knows; the framework tells of the first route with its path only."""
    routes = cast(FastAPI, request.app).routes
    asked = ({**request.scope, "method": method} for method in _METHODS)
    return [
        scope["method"]
        for scope in asked
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    ]


async def _client_left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=_CLIENT_LEFT)


async def _fault(request: Request, _error: Exception) -> Response:
    problem = InternalError(
        "The server has a fault; its log says more.", remedy="Report it with the log's lines."
    )
    return problem_response(problem, request.scope["path"])


def _schemas_of_problems() -> dict[str, object]:
    problem = TypeAdapter(Problem).json_schema(ref_template="#/components/schemas/{model}")
    return {**cast(dict[str, object], problem.pop("$defs", {})), "Problem": problem}


def _require_token(document: dict[str, object]) -> None:
    paths = cast(dict[str, dict[str, dict[str, object]]], document["paths"])
    for path, operations in paths.items():
        if path not in OPEN_PATHS:
            for operation in operations.values():
                operation["security"] = [{"token": []}]
