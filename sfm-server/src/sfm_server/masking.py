"""Shows values without what is secret in them."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^?#\s]*@")
_SECRET_OPTION = re.compile(r"(?i)([?&][^=&]*(?:key|token|password|secret)[^=&]*=)[^&]*")
_SECRET_NAME = re.compile(r"PASS|KEY|TOKEN|SECRET")
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
    """Return a text with the passwords and keys inside its URLs hidden."""
    hidden = _PASSWORD.sub(rf"\1:{HIDDEN}@", text)
    return _SECRET_OPTION.sub(rf"\1{HIDDEN}", hidden)
