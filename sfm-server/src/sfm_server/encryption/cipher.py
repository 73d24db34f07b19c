"""AES-256-GCM: values under data keys, data keys under master keys."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sfm_core.model.sealed import NONCE_BYTES, Sealed, header_of
from sfm_server.encryption.ring import MasterKey

_WRAPPED = b"SFM data key 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value stands. It is readable there only.

    Attributes:
        namespace: The namespace.
        key: The key.
        version: The version that comes with the value.
    """

    namespace: str
    key: bytes
    version: int

    def bound_to(self, header: bytes) -> bytes:
        """Return what is authenticated with the value; each part delimits itself."""
        name = self.namespace.encode()
        return header + struct.pack(">QI", self.version, len(name)) + name + self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """What values of one namespace are encrypted with.

    Attributes:
        master: The key that it is wrapped with.
        number: Its number in the namespace.
        header: What values begin with that are encrypted with it.
        cipher: Encrypts and decrypts.
    """

    master: MasterKey
    number: int
    header: bytes
    cipher: AESGCM = field(repr=False)

    def seal(self, place: Place, value: bytes) -> bytes:
        """Encrypt a value under a nonce that was never used.

        Args:
            place: Where it will stand.
            value: The value.

        Returns:
            What the store is to hold.
        """
        nonce = os.urandom(NONCE_BYTES)
        secret = self.cipher.encrypt(nonce, value, place.bound_to(self.header))
        return self.header + nonce + secret

    def open(self, place: Place, sealed: Sealed) -> bytes:
        """Decrypt a value.

        Args:
            place: Where it stands.
            sealed: What the store holds.

        Returns:
            The value.

        Raises:
            ValueError: It was changed, or was encrypted for another place.
        """
        try:
            return self.cipher.decrypt(sealed.nonce, sealed.secret, place.bound_to(sealed.header))
        except InvalidTag as error:
            raise ValueError("it was changed, or belongs elsewhere") from error


def new_data_key(master: MasterKey, namespace: str, number: int) -> tuple[DataKey, bytes]:
    """Make a data key.

    Args:
        master: What to wrap it with.
        namespace: Where it will be used.
        number: Its number there.

    Returns:
        The key, and its bytes as `unwrap` reads them.
    """
    secret = AESGCM.generate_key(256)
    nonce = os.urandom(NONCE_BYTES)
    bound = _bound(master, namespace, number)
    wrapped = nonce + AESGCM(master.secret).encrypt(nonce, secret, bound)
    return _data_key(master, number, secret), wrapped


def unwrap(master: MasterKey, namespace: str, number: int, wrapped: bytes) -> DataKey:
    """Return a data key that was made before.

    Args:
        master: What it is wrapped with.
        namespace: Where it is used.
        number: Its number there.
        wrapped: Its bytes, encrypted.

    Returns:
        The key.

    Raises:
        ValueError: The master key is another one, or the bytes were changed.
    """
    try:
        secret = AESGCM(master.secret).decrypt(
            wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _bound(master, namespace, number)
        )
    except InvalidTag as error:
        raise ValueError("it is wrapped with another key") from error
    return _data_key(master, number, secret)


def _data_key(master: MasterKey, number: int, secret: bytes) -> DataKey:
    return DataKey(
        master=master, number=number, header=header_of(master.id, number), cipher=AESGCM(secret)
    )


def _bound(master: MasterKey, namespace: str, number: int) -> bytes:
    return _WRAPPED + header_of(master.id, number) + namespace.encode()
