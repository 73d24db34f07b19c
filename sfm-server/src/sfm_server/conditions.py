"""What headers demand of a write: `If-Match`, `If-None-Match` (RFC 9110), `Idempotency-Key`."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Request

from sfm_core.errors import InvalidInputError, PreconditionFailedError
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.precondition import ANY, Precondition
from sfm_server.idempotency import HEADER, malformed, parse_key

_BEFORE_FIRST = re.compile(r"[ \t,]*(W/)?")
_BETWEEN = re.compile(r"[ \t]*,[ \t,]*(W/)?")
_AFTER_LAST = re.compile(r"[ \t,]*")
_OPAQUE = re.compile(r"[\x21\x23-\x7e\x80-\xff]*")

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="Only if the memory has one of these entity tags."),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="Only if the memory has none of these entity tags; `*`: if there is none.",
    ),
]


def entity_tag(revision: str) -> str:
    """Return the entity tag of a revision of a memory."""
    return f'"{revision}"'


def tag_missing(what: str) -> PreconditionFailedError:
    """Return the error for something that has none of the tags of `If-Match`."""
    return PreconditionFailedError(
        f"The {what} has none of the entity tags of If-Match.",
        remedy="Leave If-Match out to read it as it is.",
    )


async def _precondition(
    request: Request, if_match: IfMatch = None, if_none_match: IfNoneMatch = None
) -> Precondition | None:
    if if_match is None and if_none_match is None:
        return None
    return Precondition(
        match=_tags(request, "If-Match", weak=False),
        none_match=_tags(request, "If-None-Match", weak=True),
    )


async def _key(
    request: Request,
    header: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description="Names this write, such as by a UUID. Repeated with the same key, it "
            "answers what it has answered, and does not happen again.",
        ),
    ] = None,
) -> IdempotencyKey | None:
    if header is None:
        return None
    if len(request.headers.getlist(HEADER)) > 1:
        raise malformed("is given more than once")
    return parse_key(header)


def parse_tags(header: str, *, weak: bool, name: str) -> frozenset[str]:
    """Read a list of entity tags.

    Args:
        header: `*`, or entity tags with commas between them.
        weak: Whether a weak tag stands for the same as a strong one; if not, it
            stands for nothing that a memory can be at.
        name: Name of the header, for the error message.

    Returns:
        Revisions, or `ANY`.

    Raises:
        InvalidInputError: It is no such list.
    """
    if header.strip(" \t,") == ANY:
        return frozenset({ANY})
    parts = header.split('"')
    between, opaque = parts[0:-1:2], parts[1::2]
    prefixes = [
        (_BETWEEN if at else _BEFORE_FIRST).fullmatch(part) for at, part in enumerate(between)
    ]
    if (
        len(parts) % 2 == 0
        or not opaque
        or not all(prefixes)
        or not _AFTER_LAST.fullmatch(parts[-1])
        or not all(map(_OPAQUE.fullmatch, opaque))
    ):
        raise InvalidInputError(
            f"The header {name} is no list of entity tags.",
            field=name,
            remedy="Send `*`, or what an answer had as its ETag, with its quotes.",
        )
    return frozenset(
        # What is still in quotes is no revision, nor the star.
        f'"{tag}"' if tag == ANY or (prefix and prefix[1] and not weak) else tag
        for prefix, tag in zip(prefixes, opaque, strict=True)
    )


def _tags(request: Request, name: str, *, weak: bool) -> frozenset[str]:
    lines = request.headers.getlist(name)
    return parse_tags(",".join(lines), weak=weak, name=name) if lines else frozenset()


Conditions = Annotated[Precondition | None, Depends(_precondition)]
"""What `If-Match` and `If-None-Match` demand of the memory, if anything."""

KeyHeader = Annotated[IdempotencyKey | None, Depends(_key)]
"""The idempotency key of a write, if it has one."""
