"""Tokens: how they are made, and what is kept of them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

from sfm_core.errors import InvalidInputError
from sfm_core.model.names import check_name
from sfm_server.access.roles import Grant, Role
from sfm_server.access.token_format import StoredGrant, StoredToken, check_id

PREFIX = "sfm_"
"""What tokens begin with, so that people and scanners for secrets recognise one."""
_RANDOM_BYTES = 32


def new_token() -> str:
    """Make a token: the prefix and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(token: bytes) -> str:
    """Return what a token is known by.

    There is nothing to guess in 256 random bits, so a fast hash is as good as
    a slow one, which would let whoever sends wrong tokens keep the server busy.
    """
    return hashlib.sha256(token).hexdigest()


def parse_grant(role: Role, text: str) -> Grant:
    """Understand a namespace as the command line has it.

    Args:
        role: The role in it.
        text: A name; with `*` at its end, what names begin with.

    Returns:
        The grant.

    Raises:
        InvalidInputError: The name cannot be one.
    """
    if not text.endswith("*"):
        return Grant(role=role, namespaces=(check_name(text, field=role.value),))
    prefix = text[:-1]
    if prefix:
        check_name(prefix, field=role.value)
    return Grant(role=role, prefixes=(prefix,))


def store_token(
    name: str, token: str, grants: Sequence[Grant], *, at: datetime, expires_at: datetime | None
) -> StoredToken:
    """Return what the file is to hold of a token.

    Args:
        name: Its name.
        token: The token.
        grants: What it allows.
        at: Now.
        expires_at: Until when it is good.

    Returns:
        The entry.

    Raises:
        InvalidInputError: The name cannot be one, or nothing is allowed.
    """
    check_id(name)
    if not grants:
        raise InvalidInputError(
            "The token would allow nothing.",
            field="grants",
            remedy="Give it --reader, --writer or --admin, with a namespace or *.",
        )
    stored = tuple(
        StoredGrant(role=one.role, namespaces=one.namespaces, prefixes=one.prefixes)
        for one in grants
    )
    return StoredToken(
        id=name, sha256=digest(token.encode()), grants=stored, created_at=at, expires_at=expires_at
    )
