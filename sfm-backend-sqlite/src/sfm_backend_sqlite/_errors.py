"""The one place where SQLite's errors become those of `sfm_core.errors`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sfm_backend_sqlite.settings import SCHEME
from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    CorruptDataError,
    LimitExceededError,
    ReadOnlyStorageError,
    SfmError,
    StorageFullError,
)

# SQLite reports a write that the system refused for a quota or a limit on file
# size like a broken disk: only a plain ENOSPC becomes SQLITE_FULL.
_NO_ROOM = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


@contextmanager
def translated(path: Path) -> Generator[None]:
    """Turn what the driver raises inside the block into our errors.

    Args:
        path: The file at work, for the messages.

    Raises:
        SfmError: In place of each `sqlite3.Error`, with that as its cause.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether another connection was in the way, so that trying again makes sense."""
    return _primary(error) in _BUSY


def translate(error: sqlite3.Error, path: Path) -> SfmError:
    """Return our error for one of the driver's.

    Args:
        error: What the driver raised.
        path: The file at work.

    Returns:
        The error to raise from it.
    """
    extended: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    code = _primary(error)
    if code in _BUSY:
        return BackendUnavailableError(
            f"{path} is locked by another process.",
            backend=SCHEME,
            remedy="Try again, or find out which process holds it for so long.",
        )
    if code == sqlite3.SQLITE_FULL or extended in _NO_ROOM:
        return StorageFullError(
            f"There is no room to write to {path}; nothing was changed.",
            backend=SCHEME,
            remedy="Free space on its disk, or raise the quota or the limit on file size.",
        )
    if code in _DAMAGED:
        return CorruptDataError(
            f"{path} is damaged or is no SQLite database: {error}.",
            backend=SCHEME,
            remedy="Restore it from a backup, or salvage it with the sqlite3 shell's .recover.",
        )
    if code == sqlite3.SQLITE_TOOBIG:
        return LimitExceededError(
            f"A value is larger than SQLite can hold: {error}.",
            field="value",
            remedy="Split it.",
        )
    return _of_access(error, code, path)


def _of_access(error: sqlite3.Error, code: int, path: Path) -> SfmError:
    read_only = code == sqlite3.SQLITE_CANTOPEN and not _writable(path)
    if read_only or code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return ReadOnlyStorageError(
            f"{path} or its folder cannot be written to; nothing was changed.",
            backend=SCHEME,
            remedy="Grant this user write access to the file and to its folder.",
        )
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_INTERRUPT}:
        return BackendUnavailableError(
            f"{path} could not be reached: {error}.",
            backend=SCHEME,
            remedy="Check that its disk is mounted and works.",
        )
    return BackendError(f"SQLite refused to work on {path}: {error}.", backend=SCHEME)


def _primary(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def _writable(path: Path) -> bool:
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
