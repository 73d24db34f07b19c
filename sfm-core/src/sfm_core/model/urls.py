"""What URLs of backends say, told apart before any backend is asked."""

from __future__ import annotations

from urllib.parse import urlsplit

from sfm_core.errors import ConfigurationError


def scheme_of(url: str, setting: str) -> str:
    """Return the scheme of a URL.

    Args:
        url: The URL.
        setting: The variable that it comes from.

    Returns:
        What stands before its first colon; "" where there is none.

    Raises:
        ConfigurationError: It is malformed in a way that no backend could make sense of.
    """
    try:
        return urlsplit(url).scheme
    except ValueError:
        # Its message may quote a password.
        raise ConfigurationError(
            f"{setting} is a malformed URL.",
            setting=setting,
            remedy="An address of IPv6 stands in brackets, as in redis://[::1]:6379, and other "
            "brackets are percent-encoded.",
        ) from None
