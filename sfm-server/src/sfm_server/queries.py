"""Refuses what an endpoint does not know in the query of a request, or would heed in part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import cast

import msgspec
from fastapi import FastAPI, Request

from sfm_core.errors import InvalidInputError

_SHOWN = 80


class _Schema(msgspec.Struct, frozen=True):
    """What is used here of the schema of a parameter."""

    type: str = ""
    any_of: tuple[_Schema, ...] = msgspec.field(name="anyOf", default=())

    @property
    def is_list(self) -> bool:
        return self.type == "array" or any(one.is_list for one in self.any_of)


class _Parameter(msgspec.Struct, frozen=True):
    """What is used here of a parameter in the OpenAPI document."""

    name: str
    place: str = msgspec.field(name="in")
    schema: _Schema = _Schema()


class _Operation(msgspec.Struct, frozen=True):
    """What is used here of an endpoint in the OpenAPI document."""

    parameters: tuple[_Parameter, ...] = ()


def check_query(request: Request) -> None:
    """See that the endpoint of a request knows everything in its query, and heeds all of it.

    A name that does nothing is more often a mistake that matters: a namespace or a dry run
    that was meant for the body, a limit with a slip in it. Of two values for one thing, one
    would do nothing.

    Args:
        request: A request to an endpoint that is in the OpenAPI document; one that is not
            there is let through.

    Raises:
        InvalidInputError: Something in the query is not in the document, or is there more than
            once where one is meant.
    """
    if not request.scope["query_string"]:
        return
    known = _known(request)
    if known is None:
        return
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            takes = f"It takes {', '.join(sorted(known))} there." if known else "It takes none."
            raise InvalidInputError(
                f"The endpoint does not know {name[:_SHOWN]!r} in the query.",
                field=name[:_SHOWN],
                remedy=f"{takes} What is for the body belongs into the body.",
            )
        if times > 1 and not known[name]:
            raise InvalidInputError(
                f"{name} is given {times} times in the query.", field=name, remedy="Give it once."
            )


def _known(request: Request) -> Mapping[str, bool] | None:
    """Return what an endpoint takes in its query, and whether more than once.

    That is nothing where it is not listed.
    """
    app = cast(FastAPI, request.app)
    paths = cast("dict[str, dict[str, object]]", app.openapi()["paths"])
    path = str(getattr(request.scope.get("route"), "path", ""))
    listed = paths.get(path, {}).get(request.method.lower())
    if listed is None:
        return None
    operation = msgspec.convert(listed, _Operation)
    return {one.name: one.schema.is_list for one in operation.parameters if one.place == "query"}
