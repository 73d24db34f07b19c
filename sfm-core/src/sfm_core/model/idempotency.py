"""Keys that callers give to writes, so that each happens once however often it is asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import msgspec

from sfm_core.model.names import check_name

MAX_KEY_BYTES = 255
_DIGEST_BYTES = 16

_encoder = msgspec.json.Encoder(enc_hook=str, order="deterministic")


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """Names a write, so that it happens once however often it is asked for.

    Use a new one, such as a UUID, for each write, and the same one when that write is
    repeated because its answer was lost. Keys of different namespaces are different keys.

    Attributes:
        text: 1 to 255 bytes of UTF-8 without control characters.

    Raises:
        InvalidInputError: The text is something else.
    """

    text: str

    def __post_init__(self) -> None:
        """Check the text."""
        check_name(self.text, field="idempotency_key", limit=MAX_KEY_BYTES)

    @property
    def digest(self) -> bytes:
        """What the truth calls the key: as long for every key."""
        return hashlib.blake2b(self.text.encode(), digest_size=_DIGEST_BYTES).digest()


class Picks(msgspec.Struct, frozen=True, kw_only=True):
    """What a write that looks for memories has found, so that its repetition is about the same.

    Attributes:
        keys: Entries of the memories that were picked, in order.
        examined: How many entries were looked at.
        last: The last of them; empty if there are no more behind it.
    """

    keys: tuple[bytes, ...]
    examined: int
    last: bytes


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a write has answered, as the truth keeps it under the write's idempotency key.

    Attributes:
        asked: Digest of what was asked for.
        at: When it was asked for.
        version: The version that was written; 0 if nothing was.
        revision: The revision of the memory that was written, if one was.
        dirty: Keys that derived stores have to follow.
        picks: What was found, if the write looks for memories by itself.
    """

    asked: bytes
    at: datetime
    version: int = 0
    revision: str = ""
    dirty: tuple[bytes, ...] = ()
    picks: Picks | None = None


_decoder = msgspec.json.Decoder(KeptAnswer)


def digest_of_request(*parts: object) -> bytes:
    """Return what tells one request from another: the same for the same values in any process."""
    return hashlib.blake2b(_encoder.encode(parts), digest_size=_DIGEST_BYTES).digest()


def encode_answer(answer: KeptAnswer) -> bytes:
    """Encode a kept answer as JSON."""
    return _encoder.encode(answer)


def decode_answer(value: bytes) -> KeptAnswer:
    """Decode a kept answer.

    Args:
        value: Bytes from the truth.

    Returns:
        The answer.

    Raises:
        msgspec.DecodeError: The bytes are no such answer.
    """
    return _decoder.decode(value)
