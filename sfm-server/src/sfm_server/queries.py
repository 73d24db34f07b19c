"""Refuses what an endpoint does not know in the query of a request."""

from __future__ import annotations

from typing import cast

import msgspec
from fastapi import FastAPI, Request

from sfm_core.errors import InvalidInputError

_SHOWN = 80


class _Parameter(msgspec.Struct, frozen=True):
    """What is used here of a parameter in the OpenAPI document."""

    name: str
    place: str = msgspec.field(name="in")


class _Operation(msgspec.Struct, frozen=True):
    """What is used here of an endpoint in the OpenAPI document."""

    parameters: tuple[_Parameter, ...] = ()


def check_query(request: Request) -> None:
    """See that the endpoint of a request knows everything in its query.

    A name that does nothing is more often a mistake that matters: a namespace or a dry run
    that was meant for the body, a limit with a slip in it.

    Args:
        request: A request to an endpoint that is in the OpenAPI document; one that is not
            there is let through.

    Raises:
        InvalidInputError: Something in the query is not in the document.
    """
    if not request.scope["query_string"]:
        return
    known = _known(request)
    if known is None:
        return
    for name in request.query_params:
        if name not in known:
            takes = f"It takes {', '.join(sorted(known))} there." if known else "It takes none."
            raise InvalidInputError(
                f"The endpoint does not know {name[:_SHOWN]!r} in the query.",
                field=name[:_SHOWN],
                remedy=f"{takes} What is for the body belongs into the body.",
            )


def _known(request: Request) -> frozenset[str] | None:
    """Return the names that an endpoint takes in its query, or nothing where it is not listed."""
    app = cast(FastAPI, request.app)
    paths = cast("dict[str, dict[str, object]]", app.openapi()["paths"])
    path = str(getattr(request.scope.get("route"), "path", ""))
    listed = paths.get(path, {}).get(request.method.lower())
    if listed is None:
        return None
    operation = msgspec.convert(listed, _Operation)
    return frozenset(one.name for one in operation.parameters if one.place == "query")
