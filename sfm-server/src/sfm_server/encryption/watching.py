"""The keys that are good now, kept up with their file while the process runs."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

from sfm_core.clock import Clock
from sfm_core.errors import ConfigurationError, EncryptionKeyError, SfmError
from sfm_server.encryption.key_file import SETTING, file_of_keys, read_keys
from sfm_server.encryption.key_format import parse_keys, ring_of
from sfm_server.encryption.ring import KeyRing, MasterKey
from sfm_server.encryption.settings import EncryptionSettings
from sfm_server.whole_file import Signature

log = logging.getLogger(__name__)

INTERVAL = timedelta(seconds=1)
"""How old what is known of the file may be."""
_MAX_MISSING = 100


class GivenKeys:
    """Keys that do not change while the process runs."""

    def __init__(self, ring: KeyRing) -> None:
        """Give the keys of `ring`."""
        self._ring = ring
        self._missing: set[str] = set()

    @property
    def trouble(self) -> str:
        """What is wrong with them, in words for anybody; "" if nothing."""
        if any(not self._ring.has(key_id) for key_id in self._missing):
            return "A key that something is encrypted with is not given; the log says which."
        return ""

    async def fresh(self) -> KeyRing:
        """Return the keys."""
        return self._ring

    async def find(self, key_id: str, scheme: str) -> MasterKey:
        """Return a key by its id; raises what `KeyRing.find` raises."""
        if not self._ring.has(key_id):
            self._miss(key_id)
        return self._ring.find(key_id, scheme)

    def _miss(self, key_id: str) -> None:
        if key_id not in self._missing and len(self._missing) < _MAX_MISSING:
            log.error("the key %r is needed, and is not among those that were given", key_id)
            self._missing.add(key_id)


class WatchedKeys(GivenKeys):
    """Keys of a file, which is looked at when it is asked for and that was not just done.

    A file that is gone, or cannot be used, leaves what was read last in force:
    a slip of an editor must not make a memory unreadable. What a file that can
    be read no longer has, or calls destroyed, is out of force at once.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        """Read the file at `path` when a key is asked for first."""
        super().__init__(KeyRing(()))
        self._path = path
        self._clock = clock
        self._signature: Signature | None = None
        self._due = 0.0
        self._read_once = False
        self._trouble = False
        self._turn = asyncio.Lock()

    @property
    def trouble(self) -> str:
        """What is wrong with the file, or the keys in it, in words for anybody."""
        return (
            "The file of keys cannot be used, so what it said stays."
            if self._trouble
            else (super().trouble)
        )

    async def fresh(self) -> KeyRing:
        """Return the keys as the file has them, or had them a second ago.

        Returns:
            The keys.

        Raises:
            ConfigurationError: The file was never read, and cannot be.
        """
        if not self._read_once:
            async with self._turn:
                if not self._read_once:
                    await self._look()
        elif self._clock.monotonic() >= self._due:
            await self._look_again()
        return self._ring

    async def find(self, key_id: str, scheme: str) -> MasterKey:
        """Return a key by its id, which may have come into the file just now.

        Args:
            key_id: Its id.
            scheme: Scheme of the store, for the error.

        Returns:
            The key.

        Raises:
            ConfigurationError: The file was never read, and cannot be.
            EncryptionKeyError: The key was destroyed, or is not in the file.
        """
        ring = await self.fresh()
        try:
            return ring.find(key_id, scheme)
        except EncryptionKeyError:
            await self._look_again()
            return await super().find(key_id, scheme)

    async def _look_again(self) -> None:
        # Noted before, so that of many who ask at once one looks and the others go on.
        self._note_time()
        async with self._turn:
            await self._look()

    async def _look(self) -> None:
        self._note_time()
        try:
            found = await asyncio.to_thread(self._read)
        except (SfmError, OSError) as error:
            self._cannot(error)
            return
        self._read_once, self._trouble = True, False
        if found is not None:
            self._ring, self._signature = found
            log.info("%d keys of %s are known", len(self._ring.keys), self._path)

    def _note_time(self) -> None:
        self._due = self._clock.monotonic() + INTERVAL.total_seconds()

    def _read(self) -> tuple[KeyRing, Signature] | None:
        """Read the file if it has changed; this blocks."""
        now = file_of_keys(self._path).signature()
        if self._signature is not None and now == self._signature:
            return None
        keys, signature = read_keys(self._path)
        return ring_of(keys), signature

    def _cannot(self, error: Exception) -> None:
        if self._read_once:
            # Nothing is noted of this file, so that it is tried again; it is told of once.
            if not self._trouble:
                log.error("The file of keys cannot be used, so what it said stays. %s", error)
            self._signature, self._trouble = None, True
            return
        if isinstance(error, SfmError):
            raise error
        raise ConfigurationError(
            f"There is no file of keys at {self._path}.",
            setting=SETTING,
            remedy="Make one with `sfm keys new`, or restore the one that the truth was "
            "encrypted with.",
        ) from error


def keys_of(settings: EncryptionSettings, clock: Clock) -> GivenKeys:
    """Return the keys that settings name; nothing is read yet.

    Args:
        settings: The settings, which encrypt.
        clock: Source of time.

    Returns:
        The keys.

    Raises:
        ConfigurationError: They are named twice, or the variable cannot be used.
    """
    path, given = settings.encryption_keys_file, settings.encryption_keys
    if path is not None and given is not None:
        raise ConfigurationError(
            "SFM_ENCRYPTION_KEYS_FILE and SFM_ENCRYPTION_KEYS are both set.",
            setting="SFM_ENCRYPTION_KEYS",
            remedy="Leave one of them out.",
        )
    if path is not None:
        return WatchedKeys(path, clock)
    return GivenKeys(parse_keys(given.get_secret_value() if given else ""))
