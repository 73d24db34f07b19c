"""Files of the export folder, read and written away from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from sfm_core.errors import NotFoundError
from sfm_server.problems import ForbiddenPathError

ResultT = TypeVar("ResultT")
_CHUNK = 256 * 1024


class FileWorker:
    """Runs file operations in a thread of its own; close it to end the thread."""

    def __init__(self) -> None:
        """Start the thread with the first operation."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sfm-files")

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        """Run a blocking function; what it raises is raised here."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Finish the operation in hand and end the thread."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def write_lines(self, path: Path, lines: AsyncIterable[bytes]) -> int:
        """Write a file that is either whole or not there.

        Args:
            path: Where it is to be; what was there is replaced.
            lines: Lines without their ends.

        Returns:
            How many lines were written.
        """
        partial = path.with_name(f".{path.name}.partial")
        await self.run(lambda: path.parent.mkdir(parents=True, exist_ok=True))
        count = 0
        file = await self.run(lambda: partial.open("wb"))
        try:
            block = bytearray()
            async for line in lines:
                block += line
                block += b"\n"
                count += 1
                if len(block) >= _CHUNK:
                    full, block = bytes(block), bytearray()
                    await self.run(lambda full=full: file.write(full))  # type: ignore[misc]
            rest = bytes(block)
            await self.run(lambda: file.write(rest))
            await self.run(file.close)
            await self.run(lambda: partial.replace(path))
        finally:
            await self.run(file.close)
            with suppress(FileNotFoundError):
                await self.run(partial.unlink)
        return count

    async def read_chunks(self, path: Path) -> AsyncGenerator[bytes]:
        """Read a file part by part.

        Args:
            path: The file.

        Yields:
            Its bytes, in order.

        Raises:
            NotFoundError: There is no such file.
        """
        try:
            file = await self.run(lambda: path.open("rb"))
        except OSError as error:
            raise NotFoundError(
                f"There is no file {path.name} in the export folder that can be read."
            ) from error
        try:
            while chunk := await self.run(lambda: file.read(_CHUNK)):
                yield chunk
        finally:
            await self.run(file.close)


def inside(folder: Path | None, path: str) -> Path:
    """Return the place of a file in the export folder.

    Args:
        folder: The export folder, if there is one.
        path: What the request names.

    Returns:
        The absolute path.

    Raises:
        ForbiddenPathError: There is no export folder, or the path leads out of it.
    """
    if folder is None:
        raise ForbiddenPathError(
            "This server reads and writes no files for requests.",
            remedy="Stream the lines instead, or set SFM_EXPORT_FOLDER.",
        )
    base = folder.resolve()
    try:
        target = (base / path).resolve()
    except (OSError, ValueError) as error:
        raise ForbiddenPathError("The path is malformed.", remedy="Name a plain file.") from error
    if target == base or not target.is_relative_to(base):
        raise ForbiddenPathError(
            "The path leads out of the export folder.",
            remedy="Name a file inside it, such as backup.jsonl.",
        )
    return target
