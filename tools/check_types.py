"""Run mypy and basedpyright over all code and tests.

    python -m tools.check_types

mypy runs once for each distribution, from its folder: test modules of two distributions may
have the same name, which one run would refuse.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOT_FOLDERS = ("tests", "tools", "benchmarks", "examples")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One call of a type checker."""

    folder: Path
    command: tuple[str, ...]
    search_path: tuple[str, ...] = ()

    def status(self) -> int:
        """Run it, and let it print what it finds.

        Returns:
            The exit status of the checker, 0 when it found nothing.
        """
        print(f"-- {self.folder.name}: {' '.join(self.command)}", flush=True)
        # The environment is the only way to give mypy a search path relative to its folder.
        environment = os.environ | {"MYPYPATH": os.pathsep.join(self.search_path)}  # noqa: TID251 - the whole environment is passed on
        command = [sys.executable, "-m", *self.command]
        return subprocess.run(command, cwd=self.folder, env=environment, check=False).returncode  # noqa: S603 - the commands are those below


def runs() -> Iterator[Run]:
    """List the calls that cover the repository."""
    for distribution in sorted(ROOT.glob("sfm-*")):
        yield _mypy(distribution, ("src", "tests"), base=("src", "tests"))
    # Tests of several distributions start the servers of theirs.
    helpers = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("sfm-*/tests"))
    yield _mypy(ROOT, ROOT_FOLDERS, base=(".", *helpers))
    yield Run(folder=ROOT, command=("basedpyright", "--pythonpath", sys.executable))


def main() -> int:
    """Run every checker, also after one has found something.

    Returns:
        The exit status: 0 when none found anything, 1 otherwise.
    """
    statuses = [run.status() for run in runs()]
    return 1 if any(statuses) else 0


def _mypy(folder: Path, wanted: tuple[str, ...], *, base: tuple[str, ...]) -> Run:
    present = [name for name in wanted if next((folder / name).rglob("*.py"), None)]
    options = ("--config-file", str(ROOT / "pyproject.toml"), "--explicit-package-bases")
    cache = ("--cache-dir", str(ROOT / ".mypy_cache" / folder.name))
    return Run(folder=folder, command=("mypy", *options, *cache, *present), search_path=base)


if __name__ == "__main__":
    sys.exit(main())
