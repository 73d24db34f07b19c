"""Tokens of several tenants, in a file as the command line writes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx

from sfm_server.access.roles import Grant, Role
from sfm_server.access.token_file import add_token
from sfm_server.access.tokens import new_token, store_token


def grant(role: str, *names: str, prefixes: Sequence[str] = ()) -> Grant:
    return Grant(role=Role(role), namespaces=names, prefixes=tuple(prefixes))


def issue(
    path: Path, name: str, *grants: Grant, expires_at: datetime | None = None
) -> dict[str, str]:
    """Add a token to a file, and return the header of who has it."""
    token = new_token()
    entry = store_token(name, token, grants, at=datetime.now(UTC), expires_at=expires_at)
    add_token(path, entry)
    return {"Authorization": f"Bearer {token}"}


def is_refused(answer: httpx.Response, status: int) -> bool:
    kind = {401: "unauthorized", 403: "forbidden"}[status]
    return (answer.status_code, answer.json()["type"]) == (status, f"urn:sfm:error:{kind}")
