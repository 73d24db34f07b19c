"""What files have of removed points, beyond Qdrant's engine in a worker process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from sfm_backend_qdrant.settings import LOCAL_SCHEME
from sfm_core.errors import BackendError

ON_A_SERVER: Final = (
    "The server finds removed points no more. Their bytes stay in its segments until it optimises "
    "these, by default once a fifth of a large one is removed, in its write-ahead log until that "
    "is cut, and in snapshots that were made."
)


def rewrite_files(folder: Path) -> None:
    """Write the files of the client's in-process mode anew.

    It works in the thread that it is called in, which is the client's own.

    Args:
        folder: Where the client has its collections.

    Raises:
        BackendError: A file cannot be written.
    """
    for file in folder.glob("collection/*/storage.sqlite"):
        try:
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("VACUUM")
        except sqlite3.Error as error:
            raise BackendError(
                f"{file} could not be written anew: {error}", backend=LOCAL_SCHEME
            ) from error
