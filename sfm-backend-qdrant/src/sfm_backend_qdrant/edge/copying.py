"""Copies a shard. Runs in the worker process only.

The engine sets space aside in files of 4 and 32 MB, most of which may be holes. A plain
copy would fill them.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Final

_PIECE_BYTES: Final = 1 << 20

if sys.platform == "win32":

    def _copy(source: str, target: str) -> str:
        return shutil.copyfile(source, target)
else:

    def _copy(source: str, target: str) -> str:
        with Path(source).open("rb") as reader, Path(target).open("wb") as writer:
            size, at = os.fstat(reader.fileno()).st_size, 0
            while at < size:
                try:
                    begin = os.lseek(reader.fileno(), at, os.SEEK_DATA)
                except OSError as error:
                    if error.errno != errno.ENXIO:
                        raise
                    # There are only holes from here on.
                    break
                at = os.lseek(reader.fileno(), begin, os.SEEK_HOLE)
                reader.seek(begin)
                writer.seek(begin)
                left = at - begin
                while left and (piece := reader.read(min(left, _PIECE_BYTES))):
                    writer.write(piece)
                    left -= len(piece)
            writer.truncate(size)
        return target


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder with all that is in it.

    Args:
        source: The folder; nobody writes to it meanwhile.
        target: Must not be there.

    Raises:
        OSError: There is no room, or a file cannot be read.
    """
    shutil.copytree(source, target, copy_function=_copy)
