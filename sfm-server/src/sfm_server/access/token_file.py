"""The file of tokens on the disk: read whole, replaced whole, by one at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from sfm_core.errors import ConfigurationError, NotFoundError
from sfm_server.access.token_format import StoredToken, decode_tokens, encode_tokens

MAX_BYTES = 16 * 1024 * 1024
Signature = tuple[int, int, int, int]
"""Changes whenever the file does."""


def read_tokens(path: Path) -> tuple[tuple[StoredToken, ...], Signature]:
    """Read the file.

    Args:
        path: Where it is.

    Returns:
        The tokens, and the signature of the file that they are from.

    Raises:
        ConfigurationError: It cannot be read or used.
        FileNotFoundError: There is none.
    """
    try:
        # A pipe would otherwise be waited for.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:  # noqa: PTH123 - an open descriptor
            found = os.fstat(handle)
            _need_plain(found)
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(
            f"The file of tokens cannot be read: {error.strerror}.",
            setting="SFM_TOKENS_FILE",
            remedy="Name a file that this user may read.",
        ) from error
    if len(content) > MAX_BYTES:
        raise ConfigurationError(
            f"The file of tokens has more than {MAX_BYTES} bytes.", setting="SFM_TOKENS_FILE"
        )
    return decode_tokens(content), _signature(found)


def signature_of(path: Path) -> Signature | None:
    """Return the signature of the file that is there now; `None` where none is."""
    try:
        return _signature(path.stat())
    except OSError:
        return None


def add_token(path: Path, token: StoredToken) -> None:
    """Add a token.

    Args:
        path: The file; made where there is none.
        token: What to add.

    Raises:
        ConfigurationError: The file cannot be used, or has a token of that name.
    """
    with _editing(path) as tokens:
        if any(one.id == token.id for one in tokens):
            raise ConfigurationError(
                f"There is a token {token.id} already.",
                remedy="Choose another name, and revoke the old one when nobody uses it.",
            )
        tokens.append(token)


def remove_token(path: Path, name: str) -> None:
    """Remove a token.

    Args:
        path: The file.
        name: Name of the token.

    Raises:
        ConfigurationError: The file cannot be used.
        NotFoundError: It has no token of that name.
    """
    with _editing(path) as tokens:
        kept = [one for one in tokens if one.id != name]
        if len(kept) == len(tokens):
            raise NotFoundError(f"There is no token {name}.")
        tokens[:] = kept


@contextmanager
def _editing(path: Path) -> Generator[list[StoredToken]]:
    """Let nobody else edit the file meanwhile, and replace it at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        tokens: list[StoredToken] = []
        with suppress(FileNotFoundError):
            tokens.extend(read_tokens(path)[0])
        yield tokens
        _replace(path, encode_tokens(tokens))
    finally:
        os.close(handle)


def _replace(path: Path, content: bytes) -> None:
    # A link is followed, so that what it leads to is replaced and not the link.
    target = path.resolve()
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - an open descriptor
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _need_plain(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(
            "The file of tokens is no plain file.",
            setting="SFM_TOKENS_FILE",
            remedy="Name a file, or a link to one.",
        )


def _signature(found: os.stat_result) -> Signature:
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
