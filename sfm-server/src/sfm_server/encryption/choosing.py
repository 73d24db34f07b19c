"""From settings to what is put around stores."""

from __future__ import annotations

from collections.abc import Callable

from sfm_core.errors import ConfigurationError
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.wrapping import UNWRAPPED, Wrapping
from sfm_server.encryption.bare_vectors import BareVectorStore
from sfm_server.encryption.settings import EncryptionSettings
from sfm_server.encryption.watching import GivenKeys


def wrapping_of(settings: EncryptionSettings, keys: GivenKeys | None) -> Wrapping:
    """Return what is put around stores; nothing is read yet.

    Args:
        settings: What stores may see.
        keys: What to encrypt with, if anything is.

    Returns:
        Encryption around every truth, where there are keys, and around the
        vector store what keeps content from it, where that is asked for.

    Raises:
        ConfigurationError: The library that encrypts is not installed.
    """
    kv = UNWRAPPED.kv if keys is None else _encryption(settings, keys)
    if settings.vector_content == "full":
        return Wrapping(kv=kv)
    return Wrapping(kv=kv, vector=BareVectorStore)


def _encryption(
    settings: EncryptionSettings, keys: GivenKeys
) -> Callable[[KeyValueStore], KeyValueStore]:
    try:
        from sfm_server.encryption.store import (  # noqa: PLC0415 - only where it is asked for
            EncryptedKeyValueStore,
        )
    except ImportError as error:
        raise ConfigurationError(
            "Encryption needs the library cryptography.",
            setting="SFM_ENCRYPTION_KEYS_FILE",
            remedy="Run: pip install 'somafractalmemory-server[encryption]'",
        ) from error
    plain = settings.encryption_plain == "accept"

    def wrap(store: KeyValueStore) -> KeyValueStore:
        return EncryptedKeyValueStore(store, keys, plain=plain)

    return wrap
