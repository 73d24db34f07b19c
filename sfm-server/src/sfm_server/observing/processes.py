"""Figures of several worker processes as one.

Each worker keeps its figures in files of one folder, which outlive it: so counters
do not fall when a worker is killed and another one takes its place, and every worker
can add up all of them. What only tells of the moment counts as long as its worker lives.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Tells the metrics library of each process where the figures are; read when it is imported."""


@contextmanager
def shared_folder(environ: MutableMapping[str, str]) -> Generator[None]:
    """Give the workers that are started meanwhile a folder for their figures.

    Args:
        environ: The environment that they will have. A folder that is named there is
            used and left; it should be empty, or figures go on from what it holds.

    Yields:
        While workers may run.
    """
    if environ.get(FOLDER_VARIABLE):
        yield
        return
    folder = tempfile.mkdtemp(prefix="sfm-figures-")
    environ[FOLDER_VARIABLE] = folder
    try:
        yield
    finally:
        del environ[FOLDER_VARIABLE]
        shutil.rmtree(folder, ignore_errors=True)


def folder_of_figures() -> Path | None:
    """Return where this process and others keep their figures; `None` where it is alone."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) if folder else None


def collect_all(folder: Path, registry: CollectorRegistry) -> None:
    """Have a registry tell the figures of all processes.

    Args:
        folder: Where they keep them.
        registry: What is to tell them.
    """
    _forget_the_dead(folder)
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]


def _forget_the_dead(folder: Path) -> None:
    """Remove what workers that are gone have told of their moment."""
    for file in folder.glob("gauge_live*_*.db"):
        owner = file.stem.rpartition("_")[2]
        if owner.isdecimal() and not _lives(int(owner)):
            file.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        # One that was killed stays in the table until its parent has looked at it.
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
