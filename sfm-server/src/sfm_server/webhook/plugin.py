"""Registers the webhook, the way any other plugin does.

Its variables are settings of the server, which hands them over as options.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from sfm_core.errors import ConfigurationError
from sfm_core.handling import HandlerContext, RegisterHandler
from sfm_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from sfm_server.webhook.handler import WebhookHandler

SFM_API_VERSION = 1
_PREFIX = "webhook+"
_SECURE = "webhook+https"


@hookimpl
def sfm_register_event_handlers(register: RegisterHandler) -> None:
    """Offer the webhook over either protocol."""
    register(_SECURE, make_webhook, summary="Posts each event, signed, to a URL.")
    register("webhook+http", make_webhook, summary="The same, for everybody on the way to read.")


def make_webhook(url: str, context: HandlerContext) -> WebhookHandler:
    """Make the handler; see `HandlerFactory`.

    Args:
        url: `webhook+` and the URL to post to.
        context: Its options hold the secret and how patient to be.

    Returns:
        The handler, not open.

    Raises:
        ConfigurationError: The URL names no host, no usable secret is set, or
            the mode requires encryption.
    """
    # Whoever runs no webhook does not wait for the import of its client.
    from sfm_server.webhook.handler import Receiver, WebhookHandler  # noqa: PLC0415
    from sfm_server.webhook.signing import VARIABLE, Signer  # noqa: PLC0415

    parts = urlsplit(url)
    place = _place(parts)
    if context.backends.secure and parts.scheme != _SECURE:
        raise ConfigurationError(
            f"{place} is posted to without encryption, which this mode requires.",
            setting="SFM_CONSUMER_HANDLERS",
            remedy=f"Use {_SECURE}.",
        )
    options = context.backends.options
    receiver = Receiver(
        url=url.removeprefix(_PREFIX),
        place=place,
        scheme=parts.scheme,
        signer=Signer.of(options.get(VARIABLE, "")),
        deadline=timedelta(seconds=float(options.get("SFM_WEBHOOK_TIMEOUT_SECONDS", "10"))),
        attempts=int(options.get("SFM_WEBHOOK_ATTEMPTS", "8")),
    )
    return WebhookHandler(receiver, context.backends.clock)


def _place(parts: SplitResult) -> str:
    """Return what messages may say of a URL: path and query may hold what is secret."""
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise ConfigurationError(
            "A webhook names no host.",
            setting="SFM_CONSUMER_HANDLERS",
            remedy=f"Write {_SECURE}://host/path.",
        )
    return f"{host}:{port}" if port else host
