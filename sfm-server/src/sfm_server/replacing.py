"""Putting a whole file in the place of another one, while others may be doing the same."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace_file(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Replace a file, or make it; whoever reads it finds all of the old one or all of the new.

    Of several that do so at once the last one stays. This blocks.

    Args:
        path: The file.
        content: What is to be in it.
        mode: Who may do what with it, as far as the process lets anybody.

    Raises:
        OSError: It could not be written; what was there stays.
    """
    # A name of its own each time, or workers that start together would write into one file.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
