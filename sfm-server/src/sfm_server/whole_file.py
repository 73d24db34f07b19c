"""A small file that is read whole, replaced whole, and edited by one at a time."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sfm_core.errors import ConfigurationError
from sfm_server.replacing import replace_file

MAX_BYTES = 16 * 1024 * 1024
Signature = tuple[int, int, int, int]
"""Changes whenever the file does, unless that follows at once on another change."""
_OF_NO_FILE: Signature = (0, 0, 0, 0)
_AT_ONCE_NS = 1_000_000_000
"""How far apart changes are at least that every file system gives different times."""


class Read(NamedTuple):
    """What was read, all from one and the same file.

    Attributes:
        content: What is in the file.
        signature: Its signature; that of no file where it was changed so recently that the next
            change could leave it as it is.
        mode: Who may read and write it.
        owner: The user whose it is.
    """

    content: bytes
    signature: Signature
    mode: int
    owner: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFile:
    """Where the file is, and how messages call it.

    Attributes:
        path: Where it is; a link is followed.
        what: What it is, such as "file of tokens".
        setting: The variable that names it.
    """

    path: Path
    what: str
    setting: str

    def read(self) -> Read:
        """Read it.

        Returns:
            What is in it.

        Raises:
            ConfigurationError: It cannot be read, is no plain file, or is too large.
            FileNotFoundError: There is none.
        """
        try:
            # A pipe would otherwise be waited for.
            handle = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(handle, "rb") as file:  # noqa: PTH123 - an open descriptor
                found, now = os.fstat(handle), time.time_ns()
                self._need_plain(found)
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ConfigurationError(
                f"The {self.what} cannot be read: {error.strerror}.",
                setting=self.setting,
                remedy="Name a file that this user may read.",
            ) from error
        if len(content) > MAX_BYTES:
            raise ConfigurationError(
                f"The {self.what} has more than {MAX_BYTES} bytes.", setting=self.setting
            )
        settled = now - found.st_ctime_ns > _AT_ONCE_NS
        signature = _signature(found) if settled else _OF_NO_FILE
        return Read(content, signature, found.st_mode, found.st_uid)

    def signature(self) -> Signature | None:
        """Return the signature of the file that is there now; `None` where none is."""
        try:
            return _signature(self.path.stat())
        except OSError:
            return None

    @contextmanager
    def locked(self) -> Generator[None]:
        """Let nobody else edit the file meanwhile; its folder is made where it is missing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f".{self.path.name}.lock")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def replace(self, content: bytes) -> None:
        """Put a new file in the place of the old one, for its owner only.

        Args:
            content: What is to be in it.
        """
        # A link is followed, so that what it leads to is replaced and not the link.
        replace_file(self.path.resolve(), content, mode=0o600)

    def _need_plain(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise ConfigurationError(
                f"The {self.what} is no plain file.",
                setting=self.setting,
                remedy="Name a file, or a link to one.",
            )


def _signature(found: os.stat_result) -> Signature:
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
