"""Files that several processes replace at once."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier

import pytest

from sfm_server.replacing import replace_file

WRITERS = 8
TIMES = 50


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder in which nothing else is."""
    with TemporaryDirectory() as name:
        yield Path(name)


def test_whoever_reads_finds_one_whole_file_while_many_replace_it(folder: Path) -> None:
    path, together = folder / "truth.json", Barrier(WRITERS)
    contents = [bytes([65 + number]) * (1000 * (number + 1)) for number in range(WRITERS)]

    def replace_often(content: bytes) -> set[bytes]:
        together.wait()
        found: set[bytes] = set()
        for _ in range(TIMES):
            replace_file(path, content)
            found.add(path.read_bytes())
        return found

    with ThreadPoolExecutor(WRITERS) as threads:
        found = {read for some in threads.map(replace_often, contents) for read in some}

    assert found <= set(contents)
    assert list(folder.iterdir()) == [path]


def test_what_cannot_be_written_leaves_what_was_there_and_nothing_beside_it(folder: Path) -> None:
    (folder / "truth.json").mkdir()
    with pytest.raises(OSError, match=r"truth\.json"):
        replace_file(folder / "truth.json", b"{}")
    assert [one.name for one in folder.iterdir()] == ["truth.json"]
