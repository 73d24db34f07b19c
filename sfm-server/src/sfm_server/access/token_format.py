"""What the file of tokens says, and how that is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from sfm_core.errors import ConfigurationError, InvalidInputError, SfmError
from sfm_core.model.names import check_name
from sfm_server.access.roles import EVERY_NAMESPACE, Caller, Grant, Role

_FILE_VERSION = 1
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class StoredGrant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role in namespaces, as the file has it; see `Grant`."""

    role: Role
    namespaces: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


class StoredToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token, as the file has it.

    Attributes:
        id: Its name.
        sha256: Digest of the token, in hexadecimal; the token itself is nowhere.
        grants: What it allows.
        created_at: When it was made.
        expires_at: Until when it is good; `None` is for ever.
    """

    id: str
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    grants: tuple[StoredGrant, ...]
    created_at: Moment | None = None
    expires_at: Moment | None = None

    def caller(self) -> Caller:
        """Return who calls with this token."""
        return Caller(
            id=self.id,
            grants=tuple(
                Grant(role=one.role, namespaces=one.namespaces, prefixes=one.prefixes)
                for one in self.grants
            ),
            expires_at=self.expires_at,
            digest=self.sha256,
        )


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    tokens: tuple[StoredToken, ...] = ()


_decoder = msgspec.json.Decoder(_File)


def encode_tokens(tokens: Sequence[StoredToken]) -> bytes:
    """Return the content of a file of tokens."""
    document = _File(version=_FILE_VERSION, tokens=tuple(tokens))
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_tokens(content: bytes) -> tuple[StoredToken, ...]:
    """Understand a file of tokens.

    Args:
        content: What is in it.

    Returns:
        The tokens.

    Raises:
        ConfigurationError: It is no such file, or two tokens share a name or
            are the same. The message never holds what is in the file.
    """
    try:
        document = _decoder.decode(content)
        _check(document)
    except msgspec.ValidationError as error:
        # Its message may repeat a value; the place in the file is all that is told.
        place = str(error).rpartition(" - at ")[2] if " - at " in str(error) else "its top"
        raise _unusable(f"something is wrong or missing at {place}") from None
    except (ValueError, RecursionError):
        raise _unusable("it is not JSON") from None
    except SfmError as error:
        raise _unusable(error.message.rstrip(".")) from None
    return document.tokens


def _check(document: _File) -> None:
    if document.version != _FILE_VERSION:
        raise _unusable(f"its version is not {_FILE_VERSION}")
    for token in document.tokens:
        check_id(token.id)
        for grant in token.grants:
            for name in (*grant.namespaces, *grant.prefixes):
                if name != EVERY_NAMESPACE or name in grant.namespaces:
                    check_name(name, field=f"a namespace of {token.id}")
    for what, values in (
        ("name", [one.id for one in document.tokens]),
        ("digest", [one.sha256 for one in document.tokens]),
    ):
        if len(set(values)) < len(values):
            raise _unusable(f"two tokens have the same {what}")


def _unusable(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The file of tokens cannot be used: {why}.",
        setting="SFM_TOKENS_FILE",
        remedy="Restore it, or edit it with `sfm tokens`.",
    )


def check_id(name: str) -> None:
    """See that a text can be the name of a token.

    Args:
        name: The text.

    Raises:
        InvalidInputError: It cannot.
    """
    if not _ID.fullmatch(name):
        raise InvalidInputError(
            "The name of a token has other characters than letters, digits, '.', '_' and '-', "
            "or is too long.",
            field="id",
            remedy="Use up to 64 of them, and begin with a letter or digit.",
        )
