"""Files of the export folder, read and written away from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from sfm_server.export_folder import Replacement, open_to_read, read_block

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

    async def write(self, folder: Path | None, path: str, blocks: AsyncIterable[bytes]) -> None:
        """Write a file of the export folder that is either whole or not there.

        Args:
            folder: The export folder, if there is one.
            path: Where in it the file is to be; what was there is replaced.
            blocks: What is to be in it.

        Raises:
            ForbiddenPathError: The path may not be written to.
            StorageFullError: There is no room for it; what was there stays.
            ReadOnlyStorageError: The folder takes no files.
            BackendUnavailableError: Its disk does not do what it should; what was there stays.
        """
        target = await self.run(lambda: Replacement(folder, path))
        try:
            async for block in blocks:
                await self.run(partial(target.write, block))
            await self.run(target.finish)
        finally:
            await self.run(target.close)

    async def read_chunks(self, folder: Path | None, path: str) -> AsyncGenerator[bytes]:
        """Read a file of the export folder part by part.

        Args:
            folder: The export folder, if there is one.
            path: Where in it the file is.

        Yields:
            Its bytes, in order.

        Raises:
            ForbiddenPathError: The path may not be read.
            NotFoundError: There is no such file.
            BackendUnavailableError: Its disk does not do what it should.
        """
        file = await self.run(partial(open_to_read, folder, path))
        try:
            while chunk := await self.run(partial(read_block, file, _CHUNK)):
                yield chunk
        finally:
            await self.run(file.close)
