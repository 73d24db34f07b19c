"""The keys that JSON Web Tokens are signed with: from a file, or from a URL and then kept."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWTError

from sfm_core.clock import Clock
from sfm_core.errors import ConfigurationError
from sfm_server.masking import mask
from sfm_server.problems import UnavailableError

log = logging.getLogger(__name__)

FRESH_FOR = timedelta(minutes=10)
"""How long keys are used before they are fetched again."""
NOT_BEFORE = timedelta(seconds=30)
"""How long nothing is fetched after a fetch, however many unknown keys are named."""
DEADLINE = timedelta(seconds=3)
_MAX_BYTES = 1024 * 1024
_SYMMETRIC = "oct"
_FOR_SIGNATURES = frozenset({None, "sig"})
"""The `use` of keys that signatures may be made with."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Keys:
    """Public keys by their id."""

    def __init__(self, place: str, clock: Clock) -> None:
        """Take keys from a URL or a file.

        Args:
            place: Where they are; a file is read now.
            clock: Source of time.

        Raises:
            ConfigurationError: The file holds no keys, or the URL is not encrypted.
        """
        self._clock = clock
        self._url = place if "://" in place else None
        self._keys: list[PyJWK] = []
        self._pem: bytes | None = None
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()
        if self._url is None:
            self._read(Path(place))
        else:
            _refuse_plain(self._url)

    async def find(self, key_id: str | None) -> PyJWK | bytes | None:
        """Return the key of an id, or the only one there is where none is named.

        Args:
            key_id: What a token names.

        Returns:
            The key, or `None`.

        Raises:
            UnavailableError: No keys could be fetched yet.
        """
        if self._pem is not None:
            return self._pem
        if self._url is not None and self._due(key_id):
            async with self._lock:
                if self._due(key_id):
                    await self._fetch(self._url)
        return self._known(key_id)

    def _known(self, key_id: str | None) -> PyJWK | None:
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((one for one in self._keys if one.key_id == key_id), None)

    def _due(self, key_id: str | None) -> bool:
        now = self._clock.monotonic()
        if self._tried_at is not None and now - self._tried_at < NOT_BEFORE.total_seconds():
            if self._fetched_at is None:
                raise UnavailableError("The keys of tokens cannot be fetched.", remedy="Try again.")
            return False
        old = self._fetched_at is None or now - self._fetched_at > FRESH_FOR.total_seconds()
        return old or self._known(key_id) is None

    async def _fetch(self, url: str) -> None:
        self._tried_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()), httpx.AsyncClient() as client:
                answer = await client.get(url)
            answer.raise_for_status()
            self._keys = _keys(answer.content)
        except (TimeoutError, httpx.HTTPError, ValueError) as error:
            log.warning("the keys at %s cannot be fetched: %s", mask(url), _why(error))
            if self._fetched_at is None:
                raise UnavailableError(
                    "The keys of tokens cannot be fetched.", remedy="Try again."
                ) from error
            return
        self._fetched_at = self._clock.monotonic()

    def _read(self, path: Path) -> None:
        try:
            content = path.read_bytes()
            if content.lstrip().startswith(b"{"):
                self._keys = _keys(content)
            elif b"-----BEGIN PUBLIC KEY-----" in content:
                self._pem = content
            else:
                raise ValueError("it is neither a JWKS nor a public key as PEM")  # noqa: TRY301
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"There are no keys in {path}: {error}.",
                setting="SFM_JWT_KEYS",
                remedy="Name a file with a JWKS or a public key as PEM, or a URL.",
            ) from error


def _why(error: Exception) -> str:
    """Say what went wrong without the words of the client, which may name the URL."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the answer has the status {error.response.status_code}"
    return type(error).__name__ if isinstance(error, httpx.HTTPError) else str(error) or "no answer"


def _keys(content: bytes) -> list[PyJWK]:
    """Understand a JWKS, leaving out keys that are secrets, since nobody may publish those.

    Keys that are for encryption are left out as well: somebody else may hold the other half.
    """
    if len(content) > _MAX_BYTES:
        raise ValueError("it is too large")
    try:
        found = PyJWKSet.from_dict(msgspec.json.decode(content, type=dict[str, object])).keys
    except (PyJWTError, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from error
    keys = [
        one for one in found if one.key_type != _SYMMETRIC and one.public_key_use in _FOR_SIGNATURES
    ]
    if not keys:
        raise ValueError("it has no public key for signatures")
    return keys


def _refuse_plain(url: str) -> None:
    try:
        parts = urlsplit(url)
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        # Its message may quote a password.
        raise ConfigurationError(
            "SFM_JWT_KEYS is a malformed URL.",
            setting="SFM_JWT_KEYS",
            remedy="Use https://host/path, or a file.",
        ) from None
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError(
            "SFM_JWT_KEYS is no https:// URL, so anybody on the way could exchange the keys.",
            setting="SFM_JWT_KEYS",
            remedy="Use https://, or a file.",
        )
