"""Files that are being written, and those that a writer who was killed has left behind.

Whoever writes one holds a lock on it, which ends with the process. So one that nobody
holds a lock on is nobody's, and holds what an export was to say: it is removed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_NAME = re.compile(r"\.[0-9a-f]{16}\.partial")
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def begin(folder: int) -> tuple[str, int]:
    """Begin a file that nobody else sees as one; this blocks.

    Args:
        folder: An open folder.

    Returns:
        Its name in there, and the open file. It is locked until that is closed.

    Raises:
        OSError: It cannot be made.
    """
    while True:
        name = f".{secrets.token_hex(8)}.partial"
        handle = os.open(name, _WRITE, 0o600, dir_fd=folder)
        _lock(handle, wait=True)
        if os.fstat(handle).st_nlink:
            return name, handle
        # Whoever removes what is nobody's has come between the two.
        os.close(handle)


def remove_abandoned(folder: int) -> None:
    """Remove the files of a folder that were begun and that nobody writes any more; this blocks.

    Args:
        folder: The open folder.

    Raises:
        OSError: The folder cannot be read.
    """
    for name in filter(_NAME.fullmatch, os.listdir(folder)):
        # What others are faster with, or may alone remove, is theirs.
        with suppress(OSError):
            _remove_if_abandoned(folder, name)


def remove_all_abandoned(folder: Path) -> None:
    """Remove such files from a folder and all below it, without following links; this blocks.

    What cannot be read is left as it is: exports there would be refused as well.
    """
    with suppress(OSError):
        # Where the folder itself is, an operator has said, who may use links.
        for _, _, _, handle in os.fwalk(folder.resolve(), follow_symlinks=False):
            with suppress(OSError):
                remove_abandoned(handle)


def _remove_if_abandoned(folder: int, name: str) -> None:
    handle = os.open(name, _LOOK, dir_fd=folder)
    try:
        if _lock(handle, wait=False):
            os.unlink(name, dir_fd=folder)
            log.warning("removed %s, which an export that did not end has left behind", name)
    finally:
        os.close(handle)


def _lock(handle: int, *, wait: bool) -> bool:
    """Lock a file; where locks cannot be had, nobody gets one, so nothing is removed either."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
