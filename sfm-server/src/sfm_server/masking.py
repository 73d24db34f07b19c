"""Shows values without what is secret in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

_SECRET_NAME = re.compile(r"PASS|KEY|TOKEN|SECRET")
_SECRET_OPTION = re.compile(r"(?i)(?:pass|pwd|key|token|secret|credential|signature)[^=?&;#]*=")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://)?")
_USER = re.compile(r"[A-Za-z0-9._~%-]*(?=:)")
_HOST = r"(?:\[[0-9A-Za-z:.%]+\]|[\w.%*-]*)(?::\d*)?"
_HOSTS = re.compile(rf"{_HOST}(?:,{_HOST})*(?=[/?#]|$)")
_OPTION = re.compile(r"[^?&;#\s]+")
HIDDEN = "********"
"""Stands where a secret was."""


def show_option(name: str, value: str, *, known: bool = True) -> str:
    """Return the value of a backend's variable for a listing.

    Args:
        name: The variable.
        value: Its value.
        known: Whether a backend has declared it; what it holds is unknown otherwise.

    Returns:
        The value, hidden where the name speaks of a password, key, token or
        secret, and otherwise without what is secret inside a URL.
    """
    secret = not known or _SECRET_NAME.search(name)
    return HIDDEN if value and secret else mask(value)


def mask(text: str) -> str:
    """Return a URL without passwords and keys; what may hold one and is no clean URL, hidden.

    Nobody escapes a password before it is known that it must be, so whatever stands before
    the last `@`, or after the name of something secret, is taken for a part of one.

    Args:
        text: A URL, or any other value.

    Returns:
        The text for a listing or a log.
    """
    begin = _SCHEME.match(text)
    open_part = text[: _secret_at(text)]
    hidden = text[len(open_part) :]
    if begin is None:
        return HIDDEN if hidden or "@" in text else text
    credentials, at, place = open_part[begin.end() :].rpartition("@")
    has_host = begin[0].endswith("//")
    if "@" in hidden or (has_host and not _HOSTS.match(place)):
        return HIDDEN
    user = _USER.match(credentials) if has_host else None
    who = f"{user[0]}:{HIDDEN}@" if user else f"{HIDDEN}@"
    return f"{begin[0]}{who if at else ''}{place}{HIDDEN if hidden else ''}"


def mask_all(texts: Sequence[str]) -> str:
    """Return values of one variable, with commas; hidden where one may be a part of a secret."""
    shown = [mask(text) for text in texts]
    return HIDDEN if HIDDEN in shown else ",".join(shown)


def _secret_at(text: str) -> int:
    """Return where the value of the first secret option begins; the end where there is none."""
    if not _SECRET_OPTION.search(unquote(text)):
        return len(text)
    for option in _OPTION.finditer(text):
        if _SECRET_OPTION.search(unquote(option[0])):
            name, equals, _ = option[0].partition("=")
            return option.start() + (len(name) + 1 if equals else 0)
    return 0
