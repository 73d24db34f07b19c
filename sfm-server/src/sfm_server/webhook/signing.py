"""Signatures of webhooks, as https://www.standardwebhooks.com describes them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from sfm_core.errors import ConfigurationError

VARIABLE = "SFM_WEBHOOK_SECRET"
_PREFIX = "whsec_"
_LEAST_BYTES = 24


class Signer:
    """Signs what is sent, with every secret: so a receiver can go over to a new one."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """Sign with `secrets`, of which the receiver knows one."""
        self._secrets = secrets

    @classmethod
    def of(cls, text: str) -> Signer:
        """Read secrets as they are written in a setting.

        Args:
            text: One or several, with commas: each `whsec_` and the base64 of
                at least 24 random bytes.

        Returns:
            What signs with them.

        Raises:
            ConfigurationError: There is none, or one is malformed. The
                message does not show it.
        """
        secrets = [_secret(part.strip()) for part in text.split(",") if part.strip()]
        if not secrets:
            raise _malformed("is not set")
        return cls(secrets)

    def headers(self, identity: str, body: bytes, now: datetime) -> dict[str, str]:
        """Return the headers that prove where a body comes from, and when it was sent.

        Args:
            identity: The same for every try of the same event.
            body: What is sent.
            now: When it is sent.

        Returns:
            The three headers.
        """
        moment = str(int(now.timestamp()))
        signed = b".".join((identity.encode(), moment.encode(), body))
        return {
            "webhook-id": identity,
            "webhook-timestamp": moment,
            "webhook-signature": " ".join(_signature(one, signed) for one in self._secrets),
        }


def _signature(secret: bytes, signed: bytes) -> str:
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _secret(text: str) -> bytes:
    if not text.startswith(_PREFIX):
        raise _malformed(f"does not begin with {_PREFIX}")
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("is not base64") from error
    if len(secret) < _LEAST_BYTES:
        raise _malformed(f"has fewer than {_LEAST_BYTES} bytes")
    return secret


def _malformed(problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"{VARIABLE}, by which receivers of webhooks know who sends them, {problem}.",
        setting=VARIABLE,
        remedy='Make one with: echo "whsec_$(openssl rand -base64 32)"',
    )
