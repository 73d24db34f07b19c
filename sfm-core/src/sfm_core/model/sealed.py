"""How an encrypted value begins, so that whoever meets one without its key can say which it is.

==========  ====================================================================
bytes       what they are
==========  ====================================================================
5           ``00 53 46 4d 01``: no record begins so, and 1 is the format
1, n        length of the id of the master key, and the id, in ASCII
4           number of the data key of the namespace, big-endian
12          nonce
the rest    AES-256-GCM: the value, and 16 bytes that authenticate it
==========  ====================================================================
"""

from __future__ import annotations

from typing import Final, NamedTuple

SEAL: Final = b"\x00SFM\x01"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_NUMBER_BYTES: Final = 4


class Sealed(NamedTuple):
    """An encrypted value, taken apart.

    Attributes:
        key_id: The master key that its data key is wrapped with.
        number: The number of that data key in its namespace.
        header: All bytes before the nonce.
        nonce: The nonce.
        secret: What is encrypted, and authenticated.
    """

    key_id: str
    number: int
    header: bytes
    nonce: bytes
    secret: bytes


def header_of(key_id: str, number: int) -> bytes:
    """Return what an encrypted value begins with.

    Args:
        key_id: Id of the master key, at most 255 characters of ASCII.
        number: Number of the data key.

    Returns:
        Its bytes up to the nonce.
    """
    name = key_id.encode("ascii")
    return SEAL + bytes([len(name)]) + name + number.to_bytes(_NUMBER_BYTES, "big")


def take_apart(value: bytes) -> Sealed | None:
    """Take an encrypted value apart.

    Args:
        value: What a store holds.

    Returns:
        Its parts; `None` where it is not encrypted.

    Raises:
        ValueError: It begins like one and is none: it was cut off, or is of a newer format.
    """
    if not value.startswith(SEAL[:-1]):
        return None
    if not value.startswith(SEAL) or len(value) == len(SEAL):
        raise ValueError("it is encrypted in an unknown format")
    number_at = len(SEAL) + 1 + value[len(SEAL)]
    nonce_at = number_at + _NUMBER_BYTES
    secret_at = nonce_at + NONCE_BYTES
    if len(value) < secret_at + TAG_BYTES:
        raise ValueError("it is encrypted and was cut off")
    return Sealed(
        key_id=value[len(SEAL) + 1 : number_at].decode("ascii"),
        number=int.from_bytes(value[number_at:nonce_at], "big"),
        header=value[:nonce_at],
        nonce=value[nonce_at:secret_at],
        secret=value[secret_at:],
    )


def sealed_with(value: bytes) -> str | None:
    """Return the id of the master key that a value is encrypted with, as far as it says.

    Args:
        value: What a store holds.

    Returns:
        The id; "" where it is encrypted and does not say; `None` where it is not encrypted.
    """
    try:
        parts = take_apart(value)
    except ValueError:
        return ""
    return None if parts is None else parts.key_id
