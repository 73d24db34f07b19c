"""The data keys of a truth, which it holds itself, wrapped with master keys.

Those of a namespace are one entry of the system namespace, which stands there
in clear and is never part of a copy: another truth has data keys of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import uuid4

import msgspec

from sfm_core.engine.walking import entries_of
from sfm_core.errors import CorruptDataError, EncryptionKeyError, KeyDestroyedError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Committed, KeyValueStore, Write
from sfm_server.encryption.cipher import DataKey, new_data_key, unwrap
from sfm_server.encryption.ring import MasterKey
from sfm_server.encryption.watching import GivenKeys

PREFIX: Final = b"datakeys\0"
"""What keys of these entries begin with."""
_LEASE = timedelta(seconds=1)
_MAX_KNOWN = 10_000

KeyName = tuple[str, int]
"""Id of a master key, and number of a data key that is wrapped with it."""


class _Wrapped(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    master: str
    key: bytes


class _Wrappeds(msgspec.Struct, frozen=True, kw_only=True):
    keys: tuple[_Wrapped, ...] = ()


_decoder = msgspec.json.Decoder(_Wrappeds)


class DataKeys:
    """Finds data keys, and makes one where there is none for the newest master key."""

    def __init__(self, store: KeyValueStore, keys: GivenKeys) -> None:
        """Find those of `store`, which sees what is written here as it is."""
        self._store = store
        self._keys = keys
        self._owner = f"data-keys-{uuid4()}"
        self._known: dict[tuple[str, str, int], DataKey] = {}
        self._written: dict[str, DataKey] = {}

    async def for_writing(self, namespace: str) -> DataKey:
        """Return what values are to be encrypted with now.

        Args:
            namespace: Where is written.

        Returns:
            A data key that is wrapped with the newest master key of the namespace.

        Raises:
            ConfigurationError: The master keys cannot be read.
            EncryptionKeyError: There is no master key, it was destroyed, or it is a wrong one.
            CorruptDataError: The entry with the data keys cannot be read.
            BackendError: The store failed.
        """
        ring = await self._keys.fresh()
        master = ring.newest_for(namespace, self._store.scheme)
        known = self._written.get(namespace)
        if known is None or known.master != master:
            known = await self._find_or_make(namespace, master)
            if len(self._written) >= _MAX_KNOWN:
                self._written.clear()
            self._written[namespace] = known
        return known

    async def for_reading(self, namespace: str, names: Iterable[KeyName]) -> dict[KeyName, DataKey]:
        """Return what values are encrypted with.

        Args:
            namespace: Where they stand.
            names: Which data keys.

        Returns:
            Those keys.

        Raises:
            ConfigurationError: The master keys cannot be read.
            EncryptionKeyError: A master key is not given, was destroyed, or is a wrong one.
            CorruptDataError: The entry with the data keys cannot be read, or lacks one.
            BackendError: The store failed.
        """
        return {name: await self._find(namespace, name) for name in names}

    async def unusable(self) -> dict[str, str]:
        """Look at all that are there.

        Returns:
            Why one cannot be used, by namespace; those whose key was destroyed are no trouble.

        Raises:
            ConfigurationError: The master keys cannot be read.
            BackendError: The store failed.
        """
        found: dict[str, str] = {}
        async for key, _ in entries_of(self._store, SYSTEM_NAMESPACE, PREFIX):
            namespace = key.removeprefix(PREFIX).decode()
            try:
                _, stored = await self._read(namespace)
                for one in stored.keys:
                    with suppress(KeyDestroyedError):
                        await self._find(namespace, (one.master, one.number))
            except (EncryptionKeyError, CorruptDataError) as error:
                found[namespace] = str(error)
        return found

    async def _find(self, namespace: str, name: KeyName) -> DataKey:
        ring = await self._keys.fresh()
        known = self._known.get((namespace, *name))
        if known is not None and ring.holds(known.master):
            return known
        # Where the master key is not there, that is what is to be told.
        master = await self._keys.find(name[0], self._store.scheme)
        _, stored = await self._read(namespace)
        for one in stored.keys:
            if (one.master, one.number) == name:
                return self._unwrapped(namespace, master, one)
        raise CorruptDataError(
            f"The data key {name[1]} of the namespace {namespace!r}, wrapped with the key "
            f"{name[0]!r}, is not in the store any more.",
            backend=self._store.scheme,
            remedy="Restore the store from a backup.",
        )

    async def _find_or_make(self, namespace: str, master: MasterKey) -> DataKey:
        while True:
            version, stored = await self._read(namespace)
            for one in reversed(stored.keys):
                if one.master == master.id:
                    return self._unwrapped(namespace, master, one)
            number = max((one.number for one in stored.keys), default=0) + 1
            made, wrapped = new_data_key(master, namespace, number)
            added = _Wrapped(number=number, master=master.id, key=wrapped)
            if await self._write(namespace, version, _Wrappeds(keys=(*stored.keys, added))):
                return made

    def _unwrapped(self, namespace: str, master: MasterKey, stored: _Wrapped) -> DataKey:
        try:
            found = unwrap(master, namespace, stored.number, stored.key)
        except ValueError as error:
            raise EncryptionKeyError(
                f"The key {master.id!r} that was given is not the one of this id that the data "
                f"keys of the namespace {namespace!r} are wrapped with, or these were changed.",
                backend=self._store.scheme,
                key_id=master.id,
                remedy="Give the right key under this id; nothing is lost.",
            ) from error
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[namespace, master.id, stored.number] = found
        return found

    async def _read(self, namespace: str) -> tuple[int, _Wrappeds]:
        [entry] = await self._store.get_many(SYSTEM_NAMESPACE, [PREFIX + namespace.encode()])
        if entry is None:
            return 0, _Wrappeds()
        try:
            return entry.version, _decoder.decode(entry.value)
        except ValueError as error:
            raise CorruptDataError(
                f"The data keys of the namespace {namespace!r} cannot be read: {error}",
                backend=self._store.scheme,
                remedy="Restore the store from a backup.",
            ) from error

    async def _write(self, namespace: str, version: int, keys: _Wrappeds) -> bool:
        key = PREFIX + namespace.encode()
        commit = Commit(
            namespace=SYSTEM_NAMESPACE,
            writes=(Write(key, msgspec.json.encode(keys), version + 1),),
            expect={key: version},
        )
        [result] = await self._store.commit([commit], owner=self._owner, lease=_LEASE)
        return isinstance(result, Committed)
