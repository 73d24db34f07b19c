"""The keys of an installation, and which one is for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sfm_core.errors import EncryptionKeyError, KeyDestroyedError
from sfm_core.model.names import SYSTEM_NAMESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKey:
    """A key that data keys are wrapped with.

    Attributes:
        id: Its name, which is no secret.
        secret: Its 32 bytes; empty where it was destroyed.
        namespace: The one namespace that it is for; `None` is all that have none of their own.
    """

    id: str
    secret: bytes = field(repr=False)
    namespace: str | None = None

    @property
    def destroyed(self) -> bool:
        """Whether its bytes are gone for good."""
        return not self.secret


class KeyRing:
    """Master keys in the order in which they were made."""

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        """Hold `keys`, the newest last; no id twice."""
        self.keys = tuple(keys)
        self._by_id = {key.id: key for key in keys}
        self._newest = {key.namespace: key for key in keys}

    def newest_for(self, namespace: str, scheme: str) -> MasterKey:
        """Return the key that is written with now.

        Args:
            namespace: Where is written.
            scheme: Scheme of the store, for the error.

        Returns:
            The newest key of that namespace; of all others, where it never had one.

        Raises:
            KeyDestroyedError: It was destroyed.
            EncryptionKeyError: There is none.
        """
        own = None if namespace == SYSTEM_NAMESPACE else self._newest.get(namespace)
        key = own or self._newest.get(None)
        if key is None:
            raise EncryptionKeyError(
                f"No key is for the namespace {namespace!r}.",
                backend=scheme,
                remedy="Make one with `sfm keys new`.",
            )
        return self._living(key, scheme)

    def find(self, key_id: str, scheme: str) -> MasterKey:
        """Return a key by its id.

        Args:
            key_id: Its id.
            scheme: Scheme of the store that has something of it, for the error.

        Returns:
            The key.

        Raises:
            KeyDestroyedError: It was destroyed.
            EncryptionKeyError: It is not among the keys.
        """
        key = self._by_id.get(key_id)
        if key is None:
            raise EncryptionKeyError(
                f"What is stored is encrypted with the key {key_id!r}, which is not among "
                "the keys that were given.",
                backend=scheme,
                key_id=key_id,
                remedy="Bring that key back into SFM_ENCRYPTION_KEYS_FILE; nothing is lost.",
            )
        return self._living(key, scheme)

    def has(self, key_id: str) -> bool:
        """Tell whether there is a key of an id, destroyed or not."""
        return key_id in self._by_id

    def holds(self, key: MasterKey) -> bool:
        """Tell whether a key is still among them as it is."""
        return self._by_id.get(key.id) == key

    def is_newest(self, key_id: str) -> bool:
        """Tell whether something may be written with a key now."""
        return any(key.id == key_id for key in self._newest.values())

    def _living(self, key: MasterKey, scheme: str) -> MasterKey:
        if key.destroyed:
            raise KeyDestroyedError(
                f"The key {key.id!r} was destroyed, and with it what was encrypted with it.",
                backend=scheme,
                key_id=key.id,
                remedy=f"`sfm keys destroy {key.id} --erase` clears the remains away; a new key "
                "of that namespace lets it be written again.",
            )
        return key
