"""Attacks on paths that requests may name."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sfm_core.errors import NotFoundError
from sfm_server.export_folder import Replacement, open_to_read
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
