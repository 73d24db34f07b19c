"""`sfm-conformance`: the door to `sfm_core.testing.conformance`, which needs an extra."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import cast

_KIT = "sfm_core.testing.conformance"
_UNUSABLE = 2


def main() -> int:
    """Run the contracts from the command line.

    Returns:
        The exit status of the kit's command, 2 where the kit is not installed.
    """
    try:
        # The kit is for tests, and the core does without it and what it needs.
        command = cast(Callable[[], int], import_module(_KIT).main)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error}\nInstall somafractalmemory-core[testing].\n")
        return _UNUSABLE
    return command()
