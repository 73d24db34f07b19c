"""The file of keys on the disk, which its owner alone may read."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from sfm_core.errors import ConfigurationError
from sfm_server.encryption.key_format import StoredKey, decode_keys, encode_keys
from sfm_server.whole_file import Signature, WholeFile

SETTING = "SFM_ENCRYPTION_KEYS_FILE"
_ROOT = 0
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def file_of_keys(path: Path) -> WholeFile:
    """Return the file of keys at a path."""
    return WholeFile(path=path, what="file of keys", setting=SETTING)


def read_keys(path: Path) -> tuple[tuple[StoredKey, ...], Signature]:
    """Read the file.

    Args:
        path: Where it is.

    Returns:
        The keys, the newest last, and the signature of the file that they are from.

    Raises:
        ConfigurationError: It cannot be read or used, or others than its owner may read it.
        FileNotFoundError: There is none.
    """
    found = file_of_keys(path).read()
    if is_exposed(found.mode, owner=found.owner, user=os.geteuid()):
        raise ConfigurationError(
            f"The file of keys may be used by others than its owner: {path}.",
            setting=SETTING,
            remedy=f"Run: chmod 600 {path}",
        )
    return decode_keys(found.content), found.signature


def is_exposed(mode: int, *, owner: int, user: int) -> bool:
    """Tell whether others may use a file than those who need it.

    Args:
        mode: Of the file.
        owner: Whose it is.
        user: As whom this process runs.

    Returns:
        Whether anybody but its owner may. The group may read one that root has put there
        for another user: a mounted secret can be read in no other way.
    """
    placed = owner == _ROOT != user
    return bool(mode & (_OTHERS & ~stat.S_IRGRP if placed else _OTHERS))


@contextmanager
def editing_keys(path: Path) -> Generator[list[StoredKey]]:
    """Let nobody else edit the file meanwhile, and replace it at the end.

    Args:
        path: The file; made where there is none.

    Yields:
        The keys, to be changed.

    Raises:
        ConfigurationError: It cannot be used.
    """
    file = file_of_keys(path)
    with file.locked():
        keys: list[StoredKey] = []
        with suppress(FileNotFoundError):
            keys.extend(read_keys(path)[0])
        yield keys
        file.replace(encode_keys(keys))
