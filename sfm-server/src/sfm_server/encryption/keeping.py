"""Making and destroying keys of a file."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

import msgspec

from sfm_core.errors import ConfigurationError, InvalidInputError, NotFoundError
from sfm_core.model.names import check_name
from sfm_server.encryption.key_file import SETTING, editing_keys, read_keys
from sfm_server.encryption.key_format import KEY_BYTES, StoredKey, is_id, ring_of


def listed_keys(path: Path) -> tuple[StoredKey, ...]:
    """Return the keys of a file, the newest last; none where there is no file.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    try:
        return read_keys(path)[0]
    except FileNotFoundError:
        return ()


def add_key(path: Path, key_id: str, *, namespace: str | None, at: datetime) -> None:
    """Make a key; what is written from now on is encrypted with it.

    Args:
        path: The file; made where there is none.
        key_id: Its name.
        namespace: The one namespace that it is for; `None` is all that have none of their own.
        at: Now.

    Raises:
        InvalidInputError: The id or the namespace cannot be one.
        ConfigurationError: The file cannot be used, or has a key of that id.
    """
    if not is_id(key_id):
        raise InvalidInputError(
            "The id of a key has other characters than letters, digits, '.', '_' and '-', "
            "or is too long.",
            field="id",
            remedy="Use up to 64 of them, and begin with a letter or digit.",
        )
    if namespace is not None:
        check_name(namespace, field="namespace")
    with editing_keys(path) as keys:
        if any(key.id == key_id for key in keys):
            raise ConfigurationError(
                f"There is a key {key_id} already, or was.", remedy="Choose another id."
            )
        made = secrets.token_bytes(KEY_BYTES)
        keys.append(StoredKey(id=key_id, key=made, namespace=namespace, created_at=at))


def check_destroyable(path: Path, key_id: str, *, erase: bool) -> StoredKey:
    """See that a key may be destroyed, as far as the file tells.

    Args:
        path: The file.
        key_id: The key.
        erase: Whether what is encrypted with it is meant to be lost.

    Returns:
        The key; it may be destroyed already.

    Raises:
        NotFoundError: There is no such key.
        ConfigurationError: The file cannot be used, or the key is still written with.
    """
    keys = listed_keys(path)
    found = next((key for key in keys if key.id == key_id), None)
    if found is None:
        raise NotFoundError(f"There is no key {key_id}.")
    if ring_of(keys).is_newest(key_id) and (found.namespace is None or not erase):
        raise ConfigurationError(
            f"The key {key_id} is what is written with now.",
            setting=SETTING,
            remedy="Make a newer one with `sfm keys new` and run `sfm keys rotate` first. To erase "
            "the one namespace that a key is for, add --erase.",
        )
    return found


def destroy_key(path: Path, key_id: str, *, at: datetime) -> None:
    """Remove the bytes of a key for good; its id stays, so that messages can name it.

    Args:
        path: The file.
        key_id: The key.
        at: Now.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    with editing_keys(path) as keys:
        keys[:] = [
            msgspec.structs.replace(key, key=b"", destroyed_at=key.destroyed_at or at)
            if key.id == key_id
            else key
            for key in keys
        ]
