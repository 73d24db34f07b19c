"""Finding out who a request comes from."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from sfm_core.clock import Clock, SystemClock
from sfm_server.access.jwt_tokens import looks_signed, make_verifier
from sfm_server.access.roles import ANYONE, EVERY_NAMESPACE, Caller, Grant, Role
from sfm_server.access.settings import AccessSettings
from sfm_server.access.tokens import digest
from sfm_server.access.watching import WatchedTokens
from sfm_server.problems import INVALID_TOKEN, UnauthorizedError

_ROOT = "SOMA_API_TOKEN"


class Authority:
    """Knows the tokens, and who has which.

    Attributes:
        required: Whether requests need a token at all.
    """

    def __init__(self, settings: AccessSettings, *, clock: Clock | None = None) -> None:
        """Know the tokens of the settings; those of a file from `watching` on."""
        self._clock = clock or SystemClock()
        self.required = settings.authenticates
        self._root = _root(settings)
        path = settings.tokens_file
        self._tokens = None if path is None else WatchedTokens(path, self._clock)
        self._jwt = None if settings.jwt_keys is None else make_verifier(settings, self._clock)

    @property
    def trouble(self) -> str:
        """What is wrong with where tokens come from, in words for anybody; "" if nothing."""
        return "" if self._tokens is None else self._tokens.trouble

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Keep up with the file of tokens.

        Yields:
            While that is done.

        Raises:
            ConfigurationError: The file cannot be used.
        """
        if self._tokens is None:
            yield
            return
        await asyncio.to_thread(self.load)
        task = asyncio.create_task(self._tokens.watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def load(self) -> None:
        """Read the file of tokens for the first time; this blocks.

        Raises:
            ConfigurationError: There is none, or it cannot be used.
        """
        if self._tokens is not None:
            self._tokens.load()

    def look(self) -> None:
        """Read the file of tokens now if it has changed; this blocks."""
        if self._tokens is not None:
            self._tokens.look()

    async def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Find out who sends a request.

        Args:
            headers: Its headers.

        Returns:
            Who it is; anyone where no token is needed.

        Raises:
            UnauthorizedError: No token, more than one, or one that is not good.
            UnavailableError: The keys to look at a token with cannot be had just now.
        """
        if not self.required:
            return ANYONE
        given = [value for name, value in headers if name == b"authorization"]
        if not given:
            raise UnauthorizedError(
                "The request carries no token.", remedy="Send `Authorization: Bearer <token>`."
            )
        kind, _, token = given[0].partition(b" ")
        known = None
        if len(given) == 1 and kind.lower() == b"bearer":
            known = await self._find(token.strip())
        if known is None or not self.admits(known):
            raise UnauthorizedError(
                "The request carries no valid token.",
                challenge=INVALID_TOKEN,
                remedy="Send `Authorization: Bearer <token>` as SOMA_API_TOKEN or another one.",
            )
        return known

    def admits(self, caller: Caller) -> bool:
        """Tell whether somebody who was identified before would still be."""
        if caller.expires_at is not None and caller.expires_at <= self._clock.now():
            return False
        if not caller.digest:
            # What was signed stays so until it expires.
            return True
        return self._known(caller.digest) == caller

    async def _find(self, token: bytes) -> Caller | None:
        known = self._known(digest(token))
        if known is None and self._jwt is not None and looks_signed(token):
            return await self._jwt.verify(token)
        return known

    def _known(self, presented: str) -> Caller | None:
        # Compared in constant time: how long it takes must not tell how much was right. The
        # others are looked up by digest, of which nobody can choose a part.
        if self._root is not None and hmac.compare_digest(presented, self._root.digest):
            return self._root
        return None if self._tokens is None else self._tokens.find(presented)


def _root(settings: AccessSettings) -> Caller | None:
    if settings.api_token is None:
        return None
    return Caller(
        id=_ROOT,
        grants=(Grant(role=Role.ADMIN, prefixes=(EVERY_NAMESPACE,)),),
        digest=digest(settings.api_token.get_secret_value().encode()),
    )
