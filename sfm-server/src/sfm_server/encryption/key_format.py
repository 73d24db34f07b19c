"""What the file of keys says, and how that is written."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from sfm_core.errors import ConfigurationError, SfmError
from sfm_core.model.names import check_name
from sfm_server.encryption.ring import KeyRing, MasterKey

KEY_BYTES = 32
_FILE_VERSION = 1
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILE = "SFM_ENCRYPTION_KEYS_FILE"
_VARIABLE = "SFM_ENCRYPTION_KEYS"
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class StoredKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key, as the file has it.

    Attributes:
        id: Its name.
        key: Its bytes, in base64; "" when it was destroyed.
        namespace: The one namespace that it is for, if it is for one.
        created_at: When it was made.
        destroyed_at: When it was destroyed.
    """

    id: str
    key: bytes = b""
    namespace: str | None = None
    created_at: Moment | None = None
    destroyed_at: Moment | None = None

    def __repr__(self) -> str:
        """Tell its name, and never its bytes."""
        return f"StoredKey(id={self.id!r})"

    def master(self) -> MasterKey:
        """Return the key that it stands for."""
        return MasterKey(id=self.id, secret=self.key, namespace=self.namespace)


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    keys: tuple[StoredKey, ...] = ()


_decoder = msgspec.json.Decoder(_File)


def encode_keys(keys: Sequence[StoredKey]) -> bytes:
    """Return the content of a file of keys."""
    document = _File(version=_FILE_VERSION, keys=tuple(keys))
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_keys(content: bytes) -> tuple[StoredKey, ...]:
    """Understand a file of keys.

    Args:
        content: What is in it.

    Returns:
        The keys, the newest last.

    Raises:
        ConfigurationError: It is no such file. The message never holds what is in it.
    """
    try:
        document = _decoder.decode(content)
    except msgspec.ValidationError as error:
        # Its message may repeat a value; the place in the file is all that is told.
        place = str(error).rpartition(" - at ")[2] if " - at " in str(error) else "its top"
        raise _unusable(_FILE, f"something is wrong or missing at {place}") from None
    except (ValueError, RecursionError):
        raise _unusable(_FILE, "it is not JSON") from None
    if document.version != _FILE_VERSION:
        raise _unusable(_FILE, f"its version is not {_FILE_VERSION}")
    _check(_FILE, document.keys)
    return document.keys


def parse_keys(text: str) -> KeyRing:
    """Understand keys that are given in a variable.

    Args:
        text: `id:base64`, with commas between several, the newest last.

    Returns:
        The keys.

    Raises:
        ConfigurationError: It is something else. The message never holds what is in it.
    """
    keys: list[StoredKey] = []
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for number, part in enumerate(parts, 1):
        name, _, secret = part.partition(":")
        try:
            decoded = base64.b64decode(secret, validate=True)
        except binascii.Error:
            raise _unusable(_VARIABLE, f"the key number {number} is not base64") from None
        if not decoded:
            raise _unusable(_VARIABLE, f"number {number} is not id:base64")
        keys.append(StoredKey(id=name, key=decoded))
    _check(_VARIABLE, keys)
    return ring_of(keys)


def ring_of(keys: Sequence[StoredKey]) -> KeyRing:
    """Return keys as a ring."""
    return KeyRing([key.master() for key in keys])


def is_id(text: str) -> bool:
    """Tell whether a text can be the id of a key."""
    return bool(_ID.fullmatch(text))


def _check(setting: str, keys: Sequence[StoredKey]) -> None:
    if len({key.id for key in keys}) < len(keys):
        raise _unusable(setting, "two keys have the same id")
    for number, key in enumerate(keys, 1):
        if not is_id(key.id):
            raise _unusable(setting, f"the id of key number {number} is malformed")
        if len(key.key) != (0 if key.destroyed_at else KEY_BYTES):
            raise _unusable(setting, f"the key {key.id} does not have {KEY_BYTES} bytes")
        if key.namespace is not None:
            try:
                check_name(key.namespace, field=f"the namespace of {key.id}")
            except SfmError as error:
                raise _unusable(setting, error.message.rstrip(".")) from error


def _unusable(setting: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The keys of {setting} cannot be used: {why}.",
        setting=setting,
        remedy="Restore them; `sfm keys new` makes the first one of a new file.",
    )
