"""Attacks on paths that requests may name."""

from __future__ import annotations

import errno
import io
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sfm_core.errors import (
    BackendUnavailableError,
    ConfigurationError,
    NotFoundError,
    ReadOnlyStorageError,
    SfmError,
    StorageFullError,
)
from sfm_server.export_folder import Replacement, check_folder, open_to_read, read_block
from sfm_server.partials import remove_all_abandoned
from sfm_server.problems import ForbiddenPathError

SECRET = b"nobody may read this"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export folder with a file in it, beside a secret."""
    made = tmp_path / "exports"
    (made / "sub").mkdir(parents=True)
    (made / "sub" / "plain").write_bytes(b"plain")
    (tmp_path / "secret").write_bytes(SECRET)
    return made


def read(folder: Path | None, path: str) -> bytes:
    with open_to_read(folder, path) as file:
        return file.read()


def write(folder: Path | None, path: str, content: bytes = b"new") -> None:
    target = Replacement(folder, path)
    try:
        target.file.write(content)
        target.finish()
    finally:
        target.close()


@pytest.mark.parametrize("path", ["sub/plain", "./sub/plain", "sub//plain", "sub/./plain"])
def test_a_plain_file_is_read_and_replaced(folder: Path, path: str) -> None:
    assert read(folder, path) == b"plain"
    write(folder, path)
    assert read(folder, path) == b"new"
    assert sorted(one.name for one in (folder / "sub").iterdir()) == ["plain"]


def test_folders_on_the_way_are_made(folder: Path) -> None:
    write(folder, "a/b/c")
    assert read(folder, "a/b/c") == b"new"


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../secret",
        "sub/../../secret",
        "sub/../sub/plain",
        "/etc/passwd",
        "//etc/passwd",
        "a\0b",
        "sub/",
        "x" * 300,
        "\ud800",
        "sub",
    ],
)
@pytest.mark.parametrize("use", [read, write])
def test_a_path_that_is_none_is_refused(
    folder: Path, path: str, use: Callable[[Path, str], object]
) -> None:
    with pytest.raises(ForbiddenPathError):
        use(folder, path)
    assert (folder.parent / "secret").read_bytes() == SECRET


@pytest.mark.parametrize("use", [read, write])
def test_without_a_folder_every_path_is_refused(use: Callable[[Path | None, str], object]) -> None:
    with pytest.raises(ForbiddenPathError):
        use(None, "a")


def test_a_file_that_is_not_there_is_not_found(folder: Path) -> None:
    with pytest.raises(NotFoundError):
        read(folder, "none")


def link_to_file(folder: Path) -> None:
    (folder / "odd").symlink_to(folder.parent / "secret")


def link_inside(folder: Path) -> None:
    (folder / "odd").symlink_to(folder / "sub" / "plain")


def link_to_nothing(folder: Path) -> None:
    (folder / "odd").symlink_to(folder.parent / "new")


def second_name(folder: Path) -> None:
    (folder / "odd").hardlink_to(folder.parent / "secret")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "odd")


def device(folder: Path) -> None:
    (folder / "odd").symlink_to("/dev/zero")


def endpoint(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "odd"))


def sub_folder(folder: Path) -> None:
    (folder / "odd").mkdir()


@pytest.mark.parametrize(
    "make",
    [
        link_to_file,
        link_inside,
        link_to_nothing,
        second_name,
        pipe,
        device,
        endpoint,
        sub_folder,
    ],
)
@pytest.mark.parametrize("use", [read, write])
def test_what_is_no_plain_file_is_refused(
    folder: Path, make: Callable[[Path], None], use: Callable[[Path, str], object]
) -> None:
    make(folder)
    with pytest.raises(ForbiddenPathError):
        use(folder, "odd")
    assert (folder.parent / "secret").read_bytes() == SECRET
    assert not (folder.parent / "new").exists()
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("use", [read, write])
def test_a_folder_that_is_a_link_is_not_entered(
    folder: Path, use: Callable[[Path, str], object]
) -> None:
    (folder / "out").symlink_to(folder.parent)
    with pytest.raises(ForbiddenPathError):
        use(folder, "out/secret")
    assert (folder.parent / "secret").read_bytes() == SECRET


@contextmanager
def becoming_a_link(inside: Path, outside: Path) -> Generator[None]:
    """Have a folder become a link that leads out, and a folder again, all the time."""
    aside = inside.with_name("aside")
    stop = threading.Event()

    def insist(change: Callable[[], object]) -> None:
        done = False
        while not done:
            try:
                change()
                done = True
            except OSError:
                # Whoever writes has made a folder there meanwhile.
                shutil.rmtree(inside, ignore_errors=True)

    def swap() -> None:
        while not stop.is_set():
            inside.rename(aside)
            insist(lambda: inside.symlink_to(outside))
            inside.unlink()
            insist(lambda: aside.rename(inside))

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        yield
    finally:
        stop.set()
        swapping.join()


def test_nothing_leads_out_while_a_folder_becomes_a_link_and_back(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "plain").write_bytes(SECRET)
    outcomes: Counter[str] = Counter()
    with becoming_a_link(folder / "sub", outside):
        while outcomes.total() < 3000 or not outcomes["plain"]:
            try:
                outcomes[read(folder, "sub/plain").decode()] += 1
                write(folder, "sub/plain", b"plain")
            except (ForbiddenPathError, NotFoundError) as error:
                outcomes[error.code] += 1
    assert SECRET.decode() not in outcomes
    assert (outside / "plain").read_bytes() == SECRET
    assert {one.name for one in outside.iterdir()} == {"plain"}


def test_two_who_write_one_file_leave_one_of_them_whole(folder: Path) -> None:
    first, second = Replacement(folder, "one"), Replacement(folder, "one")
    first.file.write(b"first")
    second.file.write(b"second")
    for target in (first, second):
        target.finish()
        target.close()
    assert read(folder, "one") == b"second"
    assert not list(folder.glob(".*"))


def test_what_was_never_finished_leaves_nothing(folder: Path) -> None:
    target = Replacement(folder, "one")
    target.file.write(b"half")
    target.close()
    assert [one.name for one in folder.iterdir()] == ["sub"]


WRITER = """
import sys
from pathlib import Path
from sfm_server.export_folder import Replacement
target = Replacement(Path(sys.argv[1]), sys.argv[2])
target.write(b"a secret, for a good part")
target.file.flush()
print("begun", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def abandoned(folder: Path) -> Path:
    """What is left of an export whose process was killed."""
    command = [sys.executable, "-c", WRITER, str(folder), "sub/killed"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"begun\n"
        [left] = (folder / "sub").glob(".*.partial")
        writer.send_signal(signal.SIGKILL)
    assert b"secret" in left.read_bytes()
    return left


def test_what_a_killed_writer_left_goes_with_the_next_file(folder: Path, abandoned: Path) -> None:
    write(folder, "sub/next")
    assert not abandoned.exists()
    assert sorted(one.name for one in (folder / "sub").iterdir()) == ["next", "plain"]


def test_what_killed_writers_left_goes_from_all_folders(folder: Path, abandoned: Path) -> None:
    remove_all_abandoned(folder)
    assert not abandoned.exists()


def test_what_somebody_is_writing_stays(folder: Path) -> None:
    target = Replacement(folder, "one")
    target.write(b"first")
    write(folder, "two")
    remove_all_abandoned(folder)
    target.finish()
    target.close()
    assert read(folder, "one") == b"first"


def test_what_only_looks_abandoned_stays(folder: Path) -> None:
    (folder / ".mine.partial").write_bytes(b"mine")
    (folder / f".{'0' * 16}.partial").mkdir()
    remove_all_abandoned(folder)
    assert len(list(folder.glob(".*"))) == 2


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_in_place_of_the_folder_is_told_at_the_start_and_to_who_asks(
    folder: Path, below: str
) -> None:
    wrong = folder / "sub" / "plain" / below
    with pytest.raises(ConfigurationError, match="SFM_EXPORT_FOLDER"):
        check_folder(wrong)
    for use in (read, write):
        with pytest.raises(ForbiddenPathError, match="no export folder"):
            use(wrong, "one")


def test_a_folder_that_is_not_there_yet_is_none_to_complain_of(folder: Path) -> None:
    check_folder(folder / "later")
    check_folder(None)


def test_without_files_to_open_it_is_not_a_fault_of_the_server(folder: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(BackendUnavailableError):
            write(folder, "one")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


class Broken(io.BytesIO):
    """A file on a disk that fails with an error of the system."""

    code = 0

    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError(self.code, os.strerror(self.code), size)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.EIO, BackendUnavailableError),
        (errno.ESTALE, BackendUnavailableError),
        (errno.EMFILE, BackendUnavailableError),
        (errno.EROFS, ReadOnlyStorageError),
        (errno.EPERM, ReadOnlyStorageError),
        (errno.ENOSPC, StorageFullError),
    ],
)
def test_every_error_of_the_disk_has_a_name(code: int, told: type[SfmError]) -> None:
    file = Broken()
    file.code = code
    with pytest.raises(told):
        read_block(file, 1)
