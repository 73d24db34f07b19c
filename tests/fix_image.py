"""What the Dockerfile makes, and what `docker compose up` starts of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose_file import check_out
from tests.compose_stack import Stack
from tests.image_tree import build


@pytest.fixture(scope="session")
def image_tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the virtual environment of the image."""
    tree = build(tmp_path_factory.mktemp("image"))
    yield tree
    subprocess.run(["chmod", "-R", "u+w", tree], check=True)


@pytest.fixture(scope="module")
def stack(image_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that runs as `.env.example` says, and that a test leaves as it was."""
    checkout = check_out(tmp_path_factory.mktemp("checkout"))
    stack = Stack(checkout, image_tree, tmp_path_factory.mktemp("volumes"))
    try:
        stack.up()
        yield stack
    finally:
        stack.close()
