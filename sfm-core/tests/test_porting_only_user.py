from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sfm_core.errors import ConfigurationError
from sfm_core.porting import only_user

HOLDER = """
import sys
from pathlib import Path
from sfm_core.porting import only_user
with only_user(Path(sys.argv[1]), scheme="mine"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_made_and_held_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "one"
    with only_user(folder, scheme="mine"):
        with pytest.raises(ConfigurationError, match="'mine'"), only_user(folder, scheme="mine"):
            pass
        with only_user(tmp_path / "other", scheme="mine"):
            pass
    with only_user(folder, scheme="mine"):
        pass


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigurationError, match="in use"), only_user(tmp_path, scheme="mine"):
            pass
        holder.kill()
        holder.wait()
        with only_user(tmp_path, scheme="mine"):
            pass
