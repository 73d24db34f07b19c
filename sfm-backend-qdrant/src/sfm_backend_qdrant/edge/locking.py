"""One process at a time has a folder. Runs in the worker process only."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

from sfm_backend_qdrant.edge.errors import WorkerError

_PAUSE_SECONDS: Final = 0.05

if sys.platform == "win32":
    import msvcrt

    def _take(opened: int) -> None:
        os.lseek(opened, 0, os.SEEK_SET)
        msvcrt.locking(opened, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(opened: int) -> None:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FolderLock:
    """A lock that ends with the process, however that ends."""

    def __init__(self, path: Path, wait_seconds: float) -> None:
        """Take it.

        Args:
            path: The file that is locked; it is left there.
            wait_seconds: How long to wait for who has it: a worker whose process
                was killed needs a moment to see that.

        Raises:
            WorkerError: Another process has it.
        """
        self._opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                _take(self._opened)
            except OSError as error:
                if time.monotonic() >= deadline:
                    os.close(self._opened)
                    raise WorkerError("held", str(path)) from error
                time.sleep(_PAUSE_SECONDS)  # noqa: TID251 - the worker has no event loop
            else:
                return

    def release(self) -> None:
        """Let others have it."""
        os.close(self._opened)
