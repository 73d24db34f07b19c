"""A file that a command writes is whole, or is not there."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

import pytest

from sfm_core.errors import StorageFullError
from sfm_server.cli.line_files import output
from sfm_server.codings import Coding


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder / "backup.jsonl"


def write(path: Path, content: bytes) -> None:
    with output(str(path), Coding.NONE) as out:
        out.write(content)


def test_of_two_that_write_one_file_each_writes_its_own(path: Path) -> None:
    with output(str(path), Coding.NONE) as first:
        first.write(b"first, ")
        write(path, b"second")
        assert path.read_bytes() == b"second"
        first.write(b"and whole")
    assert path.read_bytes() == b"first, and whole"
    assert list(path.parent.iterdir()) == [path]


def test_what_breaks_off_leaves_the_earlier_file_and_nothing_else(path: Path) -> None:
    write(path, b"earlier")
    with suppress(RuntimeError), output(str(path), Coding.NONE) as out:
        out.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"earlier"
    assert list(path.parent.iterdir()) == [path]


def test_only_its_owner_may_read_it(path: Path) -> None:
    write(path, b"secrets")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_who_may_read_the_earlier_one_may_read_the_later(path: Path) -> None:
    path.write_bytes(b"earlier")
    path.chmod(0o640)
    write(path, b"later")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_one(path: Path) -> None:
    link = path.with_name("latest")
    link.symlink_to(path)
    write(link, b"whole")
    assert link.is_symlink()
    assert path.read_bytes() == b"whole"


def test_a_device_is_written_to_and_stays_one() -> None:
    write(Path("/dev/null"), b"whole")
    assert Path("/dev/null").is_char_device()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageFullError, match="cannot be written"):
        write(tmp_path / "none" / "backup.jsonl", b"")
