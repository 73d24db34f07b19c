"""JSON Web Tokens: whose signature is good, and what they allow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, cast

from sfm_core.clock import Clock
from sfm_core.errors import ConfigurationError, InvalidInputError
from sfm_server.access.roles import Caller, Grant, Role
from sfm_server.access.settings import AccessSettings
from sfm_server.access.tokens import parse_grant

if TYPE_CHECKING:
    from sfm_server.access.jwt_keys import Keys

_MAX_BYTES = 16 * 1024
_DOTS = 2


class Verifier(Protocol):
    """Finds out who has signed for a caller."""

    async def verify(self, token: bytes) -> Caller | None:
        """Return whom a token is about; `None` where it is not good."""
        ...


def looks_signed(token: bytes) -> bool:
    """Tell whether a token has the shape of a JSON Web Token."""
    return token.count(b".") == _DOTS and len(token) <= _MAX_BYTES


def make_verifier(settings: AccessSettings, clock: Clock) -> Verifier:
    """Return what looks at JSON Web Tokens.

    Args:
        settings: Name keys, issuer and audience.
        clock: Source of time.

    Returns:
        The verifier.

    Raises:
        ConfigurationError: The library is not installed, there are no keys, or
            issuer or audience are missing, without which anybody's tokens of
            the same keys would be good here.
    """
    for setting, value in (
        ("SFM_JWT_ISSUER", settings.jwt_issuer),
        ("SFM_JWT_AUDIENCE", settings.jwt_audience),
    ):
        if not value:
            raise ConfigurationError(
                f"SFM_JWT_KEYS is set and {setting} is not.",
                setting=setting,
                remedy="Say whose tokens are taken, and which are meant for this server.",
            )
    try:
        from sfm_server.access.jwt_keys import Keys  # noqa: PLC0415 - only where it is asked for
    except ImportError as error:
        raise ConfigurationError(
            "JSON Web Tokens need PyJWT with its cryptography.",
            setting="SFM_JWT_KEYS",
            remedy="Run: pip install 'somafractalmemory-server[jwt]'",
        ) from error
    return JwtVerifier(settings, Keys(settings.jwt_keys or "", clock))


class JwtVerifier:
    """Looks at signature, issuer, audience and times, then at the claims about access."""

    def __init__(self, settings: AccessSettings, keys: Keys) -> None:
        """Take tokens that are signed with `keys` and fit the settings."""
        self._settings = settings
        self._keys = keys

    async def verify(self, token: bytes) -> Caller | None:
        """Return whom a token is about; `None` where it is not good.

        Raises:
            UnavailableError: The keys cannot be had just now.
        """
        import jwt  # noqa: PLC0415 - only where it is asked for

        settings = self._settings
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in settings.jwt_algorithms:
                return None
            key = await self._keys.find(header.get("kid"))
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=list(settings.jwt_algorithms),
                issuer=settings.jwt_issuer,
                audience=settings.jwt_audience,
                leeway=settings.jwt_leeway_seconds,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            return self._caller(cast(Mapping[str, object], claims))
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            return None

    def _caller(self, claims: Mapping[str, object]) -> Caller:
        settings = self._settings
        roles = [role for role in Role if role.value in _texts(claims.get(settings.jwt_role_claim))]
        names = _texts(claims.get(settings.jwt_namespaces_claim))
        grants: list[Grant] = []
        for name in names if roles else ():
            try:
                grants.append(parse_grant(roles[-1], name))
            except InvalidInputError:
                # No namespace can have that name, so it allows nothing.
                continue
        who = f"{claims['iss']}\0{claims['sub']}".encode(errors="replace")
        leeway = timedelta(seconds=settings.jwt_leeway_seconds)
        return Caller(
            id=f"jwt:{hashlib.sha256(who).hexdigest()[:16]}",
            grants=tuple(grants),
            expires_at=datetime.fromtimestamp(float(cast(float, claims["exp"])), UTC) + leeway,
        )


def _texts(claim: object) -> list[str]:
    """Return a claim that is a text or a list of texts as a list."""
    if isinstance(claim, str):
        return [claim]
    if isinstance(claim, list):
        return [one for one in cast(list[object], claim) if isinstance(one, str)]
    return []
