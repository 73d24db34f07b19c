"""What the tests of encryption share."""

from __future__ import annotations

from sfm_core.protocols.kv import KeyValueStore
from sfm_server.encryption.ring import KeyRing, MasterKey
from sfm_server.encryption.store import EncryptedKeyValueStore
from sfm_server.encryption.watching import GivenKeys

KEY = MasterKey(id="one", secret=b"1" * 32)
KEYS = GivenKeys(KeyRing([KEY]))


def sealed(store: KeyValueStore) -> EncryptedKeyValueStore:
    """Wrap a store as the server does, with a key that the tests know."""
    return EncryptedKeyValueStore(store, KEYS)
