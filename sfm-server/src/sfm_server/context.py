"""What every endpoint works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

import msgspec
from fastapi import Depends, Header, Query, Request
from starlette.responses import Response

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import InvalidInputError
from sfm_server.access.roles import ANYONE, Role
from sfm_server.access.visit import Visit, visit_of
from sfm_server.files import FileWorker
from sfm_server.problems import ForbiddenError, UnavailableError
from sfm_server.queries import check_query
from sfm_server.settings import Settings

_encoder = msgspec.json.Encoder()
_NAMESPACE = "X-SFM-Namespace"

NamespaceHeader = Annotated[
    str | None,
    Header(alias=_NAMESPACE, description="Namespace, unless the request itself names one."),
]
NamespaceQuery = Annotated[
    str | None, Query(description="Namespace; otherwise that of the header, or the default.")
]


class JsonAnswer(Response):
    """An answer that is encoded by `msgspec`."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Encode the body of the answer."""
        return _encoder.encode(content)


class _Named(Protocol):
    @property
    def namespace(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What one request has at hand.

    Attributes:
        engine: The engine.
        settings: Settings of the server.
        files: Reads and writes files without blocking.
        visit: Who sends it, and what that allows.
        queried: Namespace that the query names, or `None`.
        header: Namespace that the header names, or `None`.
    """

    engine: MemoryEngine
    settings: Settings
    files: FileWorker
    visit: Visit
    queried: str | None
    header: str | None

    @property
    def fallback(self) -> str:
        """The namespace where the body names none; whoever may not use it is refused."""
        return self.visit.allowed(self._home if self._named is None else self._named)

    @property
    def fallback_of_lines(self) -> str:
        """The same for a body of lines, which may all name one that the caller may use.

        So it is refused only where the request itself names it.
        """
        return self._home if self._named is None else self.fallback

    @property
    def _named(self) -> str | None:
        return self.header if self.queried is None else self.queried

    @property
    def _home(self) -> str:
        return (self.visit.caller or ANYONE).home(self.settings.namespace)

    def namespace_of(self, body: _Named) -> str:
        """Return the namespace that a body names, or the request's, if the caller may use it.

        Raises:
            InvalidInputError: Body and query name different ones.
            ForbiddenError: The caller may not use it.
        """
        if body.namespace is None:
            return self.fallback
        if self.queried not in {None, body.namespace}:
            raise InvalidInputError(
                "Query and body name different namespaces.",
                field="namespace",
                remedy="Name it in one of them.",
            )
        return self.visit.allowed(body.namespace)

    async def listed(self, names: list[str] | None) -> list[str] | None:
        """Return the namespaces that a request lists, if the caller may use every one.

        Args:
            names: What it lists; `None` for all there are.

        Returns:
            The same, or what of all there are the caller may use; `None` only
            where that is everything, now and later.
        """
        if names is not None:
            return [self.visit.allowed(name) for name in names]
        caller, role = self.visit.caller or ANYONE, self.visit.rule.role or Role.ADMIN
        if caller.may_everywhere(role):
            return None
        return caller.seen(await self.engine.namespaces(), role)


def engine_of(request: Request) -> MemoryEngine:
    """Return the open engine of the application.

    Args:
        request: Any request.

    Returns:
        The engine.

    Raises:
        UnavailableError: The server is starting or stopping.
    """
    engine: MemoryEngine | None = request.app.state.engine
    if engine is None:
        raise UnavailableError("The server is starting or stopping.", remedy="Try again.")
    return engine


async def _plain_context(request: Request) -> Context:
    return _context(request, None, None)


async def _named_context(
    request: Request, namespace: NamespaceQuery = None, header: NamespaceHeader = None
) -> Context:
    return _context(request, namespace, _decoded(request, header))


def _context(request: Request, queried: str | None, header: str | None) -> Context:
    check_query(request)
    visit = visit_of(request.scope)
    route: object = request.scope.get("route")
    if visit.required and (visit.found is None or visit.found.path != getattr(route, "path", "")):
        # The router and the table of rules must never see two different endpoints in one request.
        raise ForbiddenError("No rule says who may use this endpoint, so nobody may.")
    return Context(
        engine=engine_of(request),
        settings=request.app.state.settings,
        files=request.app.state.files,
        visit=visit,
        queried=queried,
        header=header,
    )


def _decoded(request: Request, header: str | None) -> str | None:
    """Read a header as UTF-8, which HTTP libraries hand over as Latin-1."""
    if header is None:
        return None
    if len(request.headers.getlist(_NAMESPACE)) > 1:
        raise InvalidInputError(
            f"The header {_NAMESPACE} is given more than once.",
            field=_NAMESPACE,
            remedy="Name one namespace.",
        )
    try:
        return header.encode("latin-1").decode()
    except UnicodeError as error:
        raise InvalidInputError(
            f"The header {_NAMESPACE} is not UTF-8.",
            field=_NAMESPACE,
            remedy="Name the namespace in the body or the query instead.",
        ) from error


NamedContext = Annotated[Context, Depends(_named_context)]
"""Context of an endpoint that is about one namespace; query, body or header may name it."""

PlainContext = Annotated[Context, Depends(_plain_context)]
"""Context of an endpoint that is about none, about all, or about those that it lists."""
