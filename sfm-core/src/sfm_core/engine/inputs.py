"""Checks on what callers hand in, before anything is touched."""

from __future__ import annotations

import math
from collections.abc import Sized
from datetime import datetime, timedelta

from sfm_core.errors import InvalidInputError, LimitExceededError
from sfm_core.model.link import MAX_WEIGHT
from sfm_core.model.memory import Episode
from sfm_core.model.names import check_name

MAX_TTL = timedelta(days=365 * 1000)


def check_namespace(namespace: str) -> str:
    """Return a namespace that is fit for use.

    Raises:
        InvalidInputError: It is not.
    """
    return check_name(namespace, field="namespace")


def check_batch(items: Sized, limit: int, *, field: str) -> None:
    """Check the size of a bulk call.

    Raises:
        LimitExceededError: There are more items than allowed.
    """
    if len(items) > limit:
        raise LimitExceededError(
            f"{field} has {len(items)} elements, more than {limit}.",
            field=field,
            remedy="Send them in several calls.",
        )


def check_importance(importance: float) -> float:
    """Return an importance that is fit for use.

    Raises:
        InvalidInputError: It is not between 0 and 1.
    """
    if not 0 <= importance <= 1:
        raise InvalidInputError(
            f"importance is {importance}.", field="importance", remedy="Use a number from 0 to 1."
        )
    return float(importance)


def check_ttl(ttl: timedelta) -> timedelta:
    """Return a time to live that is fit for use.

    Raises:
        InvalidInputError: It is not positive, or longer than a thousand years.
    """
    if not timedelta(0) < ttl <= MAX_TTL:
        raise InvalidInputError(
            f"ttl_seconds is {ttl.total_seconds()}.",
            field="ttl_seconds",
            remedy="Use a positive number of seconds, up to a thousand years.",
        )
    return ttl


def check_episode(episode: Episode) -> Episode:
    """Return an episode that is fit for use.

    Raises:
        InvalidInputError: Its name is no name, or its order is not finite.
    """
    check_name(episode.name, field="episode.name")
    if not math.isfinite(episode.order):
        raise InvalidInputError(
            "episode.order is not finite.", field="episode.order", remedy="Use a finite number."
        )
    return episode


def check_moment(moment: datetime, *, field: str) -> datetime:
    """Return a time that is fit for use.

    Raises:
        InvalidInputError: It has no time zone.
    """
    if moment.utcoffset() is None:
        raise InvalidInputError(
            f"{field} has no time zone.", field=field, remedy="Use a time such as one in UTC."
        )
    return moment


def check_weight(weight: float) -> float:
    """Return a link weight that is fit for use.

    Raises:
        InvalidInputError: It is negative, more than `MAX_WEIGHT` or no number.
    """
    if not 0 <= weight <= MAX_WEIGHT:
        raise InvalidInputError(
            f"weight is {weight}.",
            field="weight",
            remedy=f"Use a number from 0 to {MAX_WEIGHT:g}; shortest paths add weights up.",
        )
    return float(weight)


def check_count(count: int, limit: int, *, field: str) -> int:
    """Return a number of things to return that is fit for use.

    Raises:
        InvalidInputError: It is below 1.
        LimitExceededError: It is over the limit.
    """
    if count < 1:
        raise InvalidInputError(f"{field} is {count}.", field=field, remedy="Use 1 or more.")
    if count > limit:
        raise LimitExceededError(
            f"{field} is {count}, more than {limit}.", field=field, remedy="Ask for fewer."
        )
    return count


def check_text(text: str, *, field: str) -> str:
    """Return a text that is fit for use.

    Raises:
        InvalidInputError: It holds half of a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{field} holds half of a surrogate pair, which is no character.",
            field=field,
            remedy="Send whole Unicode characters.",
        ) from error
    return text


def check_expected(version: int | None, *, field: str = "expected_version") -> None:
    """Check the version that a caller expects.

    Raises:
        InvalidInputError: It is negative.
    """
    if version is not None and version < 0:
        raise InvalidInputError(
            f"{field} is {version}.",
            field=field,
            remedy='Use the version that was read, or 0 for "there is none".',
        )
