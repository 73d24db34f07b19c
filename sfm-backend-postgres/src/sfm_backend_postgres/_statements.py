"""Reads the SQL that lies in files beside the code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(file: str) -> Mapping[str, bytes]:
    """Return the statements of a file under their names.

    Args:
        file: Name of a file in the folder `sql`, without its ending.

    Returns:
        Each statement without its comments: those would be sent every time.
    """
    text = (files("sfm_backend_postgres") / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return {
        name: _without_comments(body) for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


def _without_comments(body: str) -> bytes:
    lines = (line for line in body.splitlines() if not line.startswith("--"))
    return "\n".join(lines).strip().removesuffix(";").encode()
