"""Opens files of the export folder, and nothing outside it, whatever anybody does meanwhile.

Each part of a path is opened relative to the folder before it and without
following links, so that a link that is put in its place between a check and
its use leads nowhere. Only plain files that have one name are read or replaced.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NoReturn

from sfm_core.errors import (
    BackendUnavailableError,
    ConfigurationError,
    NotFoundError,
    ReadOnlyStorageError,
    StorageFullError,
)
from sfm_server import partials
from sfm_server.problems import ForbiddenPathError

log = logging.getLogger(__name__)

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SETTING = "SFM_EXPORT_FOLDER"
_SCHEME = "file"


def check_folder(folder: Path | None) -> None:
    """See that the export folder can be one; this blocks.

    Args:
        folder: The export folder, if there is one. It is made with the first file.

    Raises:
        ConfigurationError: Something else than a folder is there.
    """
    if folder is not None and not _may_be_folder(folder):
        raise ConfigurationError(
            f"{_SETTING} names something else than a folder: {folder}.",
            setting=_SETTING,
            remedy="Name a folder; one that is not there is made.",
        )


class Replacement:
    """A file that takes its place when it is whole, and is gone if it never is.

    Attributes:
        file: Open for writing.
    """

    def __init__(self, folder: Path | None, path: str) -> None:
        """Begin a file in the export folder; this blocks.

        Args:
            folder: The export folder, if there is one.
            path: Where in it the file is to be; folders on the way are made.

        Raises:
            ForbiddenPathError: There is no export folder, the path leads out of
                it, or something else than a plain file is there.
            ReadOnlyStorageError: The folder takes no files.
            StorageFullError: There is no room for one.
            BackendUnavailableError: Its disk does not do what it should.
        """
        parts = _parts(folder, path)
        self._name = parts[-1]
        self._folder = _walk(folder, parts[:-1], make=True)
        try:
            self._refuse_what_is_no_file()
            partials.remove_abandoned(self._folder)
            self._partial, handle = partials.begin(self._folder)
        except OSError as error:
            os.close(self._folder)
            _refuse(error)
        except ForbiddenPathError:
            os.close(self._folder)
            raise
        self.file: BinaryIO = os.fdopen(handle, "wb")

    def write(self, block: bytes) -> None:
        """Write on; this blocks.

        Args:
            block: What comes next.

        Raises:
            StorageFullError: There is no room for it.
            ReadOnlyStorageError: The folder takes no files any more.
            BackendUnavailableError: Its disk does not do what it should.
        """
        try:
            self.file.write(block)
        except OSError as error:
            _refuse(error)

    def finish(self) -> None:
        """Put the file in its place; this blocks.

        Raises:
            ForbiddenPathError: Something else than a plain file is there.
            StorageFullError: There is no room for all of it.
            ReadOnlyStorageError: The folder takes no files any more.
            BackendUnavailableError: Its disk does not do what it should.
        """
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            _refuse(error)
        self._refuse_what_is_no_file()
        try:
            os.replace(self._partial, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            _refuse(error)

    def close(self) -> None:
        """Leave nothing behind that is not whole; this blocks."""
        # It writes what is left, of a file that was given up: whatever hinders it was told.
        with suppress(OSError):
            self.file.close()
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._partial, dir_fd=self._folder)
        except OSError as error:
            log.warning("%s stays in the export folder: %s", self._partial, error.strerror)
        finally:
            os.close(self._folder)

    def _refuse_what_is_no_file(self) -> None:
        try:
            found = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:
            _refuse(error)
        _need_plain(found)


def open_to_read(folder: Path | None, path: str) -> BinaryIO:
    """Open a file of the export folder; this blocks.

    Args:
        folder: The export folder, if there is one.
        path: Where in it the file is.

    Returns:
        The open file.

    Raises:
        ForbiddenPathError: There is no export folder, the path leads out of
            it, or it is no plain file.
        NotFoundError: There is no such file, or it may not be read.
        BackendUnavailableError: Its disk does not do what it should.
    """
    parts = _parts(folder, path)
    with _opened(folder, parts[:-1]) as parent:
        try:
            handle = os.open(parts[-1], _READ, dir_fd=parent)
        except OSError as error:
            _refuse(error)
    try:
        _need_plain(os.fstat(handle))
    except ForbiddenPathError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def read_block(file: BinaryIO, size: int) -> bytes:
    """Read on in a file of the export folder; this blocks.

    Args:
        file: The open file.
        size: The most bytes to read.

    Returns:
        What comes next; nothing at the end.

    Raises:
        BackendUnavailableError: Its disk does not do what it should.
    """
    try:
        return file.read(size)
    except OSError as error:
        _refuse(error)


def _parts(folder: Path | None, path: str) -> list[str]:
    if folder is None:
        raise ForbiddenPathError(
            "This server reads and writes no files for requests.",
            remedy="Stream the lines instead, or set SFM_EXPORT_FOLDER.",
        )
    if path.startswith("/"):
        raise _outside()
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if not parts or ".." in parts:
        raise _outside()
    try:
        os.fsencode(path)
    except ValueError as error:
        raise _malformed() from error
    if "\0" in path or path.endswith("/"):
        raise _malformed()
    return parts


def _may_be_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except NotADirectoryError:
        return False
    except OSError:
        # It can be made or mounted later, and until then whoever names a file in it is told.
        return True


@contextmanager
def _opened(folder: Path | None, parts: list[str]) -> Generator[int]:
    handle = _walk(folder, parts, make=False)
    try:
        yield handle
    finally:
        os.close(handle)


def _walk(folder: Path | None, parts: list[str], *, make: bool) -> int:
    """Go down from the export folder and return the last folder, open."""
    assert folder is not None  # noqa: S101 - `_parts` has seen to that
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        # Where the export folder itself is, an operator has said, who may use links.
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileExistsError, NotADirectoryError) as error:
        log.error("%s names something else than a folder: %s", _SETTING, folder)  # noqa: TRY400
        raise ForbiddenPathError(
            "There is no export folder, but something else in its place.",
            remedy=f"Have {_SETTING} name a folder.",
        ) from error
    except OSError as error:
        _refuse(error)
    for part in parts:
        below = handle
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=below)
            handle = os.open(part, _FOLDER, dir_fd=below)
        except OSError as error:
            _refuse(error)
        finally:
            os.close(below)
    return handle


def _need_plain(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise ForbiddenPathError(
            "The path names no plain file.",
            remedy="Name a file that is no link, folder, pipe or device.",
        )


def _refuse(error: OSError) -> NoReturn:
    if error.errno in {errno.ENOENT, errno.EACCES}:
        raise NotFoundError(
            "There is no such file in the export folder that can be used."
        ) from error
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        raise _outside() from error
    if error.errno in {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENXIO, errno.EISDIR}:
        raise _malformed() from error
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        raise StorageFullError(
            "There is no room left in the export folder; the file was not written.",
            backend=_SCHEME,
            remedy="Free space on its disk, or stream the lines instead.",
        ) from error
    if error.errno in {errno.EROFS, errno.EPERM}:
        raise ReadOnlyStorageError(
            "The export folder takes no files; none was written.",
            backend=_SCHEME,
            remedy="Have it be writable for the server, or stream the lines instead.",
        ) from error
    raise BackendUnavailableError(
        f"The export folder cannot be used just now: {error.strerror or error}.",
        backend=_SCHEME,
        remedy="See what its disk, or the limit of open files, is like; or stream the lines.",
    ) from error


def _outside() -> ForbiddenPathError:
    return ForbiddenPathError(
        "The path leads out of the export folder.",
        remedy="Name a file inside it, such as backup.jsonl; links are not followed.",
    )


def _malformed() -> ForbiddenPathError:
    return ForbiddenPathError("The path is malformed.", remedy="Name a plain file.")
