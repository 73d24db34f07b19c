"""What a start imports: plugins are many, and only the chosen ones may cost time."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from sfm_core.plugins import load_plugins
load_plugins()
print(*sorted(set(sys.argv[1:]) & sys.modules.keys()))
"""
DRIVERS = ("aiokafka", "onnxruntime", "psycopg", "qdrant_client", "redis", "sqlite3", "tokenizers")


@pytest.mark.smoke
def test_loading_the_plugins_imports_no_driver() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *DRIVERS], capture_output=True, text=True, check=True
    )
    assert set(run.stdout.split()) <= {"sqlite3"}
