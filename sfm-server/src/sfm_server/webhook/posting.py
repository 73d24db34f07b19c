"""One try to deliver something to a receiver."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx

_OK = range(200, 300)
_LATER = frozenset({408, 425, 429, *range(500, 600)})
_REDIRECTS = range(300, 400)
_MOST_READ_BYTES = 64 * 1024
LONGEST_REST = timedelta(minutes=1)
"""How long a receiver may ask to be left alone."""


class Answer(NamedTuple):
    """What became of a try.

    Attributes:
        problem: What a receiver did instead of taking it; "" where it did.
        lasts: Whether a later try is in vain.
        retry_after: When to come again, as the receiver wrote it.
    """

    problem: str = ""
    lasts: bool = False
    retry_after: str = ""


async def post(
    client: httpx.AsyncClient,
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    deadline: timedelta,
) -> Answer:
    """Post a body once, following no redirect.

    Args:
        client: What to post with.
        url: Where to.
        body: What to post.
        headers: Headers beside those of the client.
        deadline: Longest that it may take.

    Returns:
        What became of it.
    """
    try:
        async with (
            asyncio.timeout(deadline.total_seconds()),
            client.stream("POST", url, content=body, headers=headers) as response,
        ):
            await _drain(response)
            return _answer(response)
    except (TimeoutError, httpx.TimeoutException):
        return Answer(f"did not answer within {deadline.total_seconds():g} s")
    except httpx.TransportError as error:
        # Its message may name the URL, which may hold a secret.
        return Answer(f"was not reached ({type(error).__name__})")


async def _drain(response: httpx.Response) -> None:
    """Read the answer, so that the connection can be used again; but not without end."""
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > _MOST_READ_BYTES:
            return


def _answer(response: httpx.Response) -> Answer:
    status = response.status_code
    if status in _OK:
        return Answer()
    if status in _LATER:
        retry_after: str = response.headers.get("retry-after", "")
        return Answer(f"answered {status}", retry_after=retry_after)
    if status in _REDIRECTS:
        return Answer(f"answered {status}, and redirects are not followed", lasts=True)
    return Answer(f"answered {status}", lasts=True)


def rest_of(retry_after: str, now: datetime) -> timedelta:
    """Read `Retry-After`.

    Args:
        retry_after: Seconds, or a date; what is neither counts as nothing.
        now: The time.

    Returns:
        How long to leave the receiver alone.
    """
    if retry_after.isdecimal():
        # More digits than that are no number of seconds that anybody means.
        return min(timedelta(seconds=int(retry_after[:9])), LONGEST_REST)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return timedelta()
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta()), LONGEST_REST)
