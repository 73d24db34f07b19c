"""Imports, each line by itself or all of them or none, over HTTP and in this process."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import IO

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import StorageFullError
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.report import ImportReport
from sfm_server.problems import ImportRefusedError
from sfm_server.schemas.admin import ImportMode

_AT_ONCE = 256 * 1024
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import.

    Attributes:
        namespace: For lines that name none.
        mode: What becomes of it when a line is not acceptable.
        key: Names it, if it has a name.
        permits: Tells of a namespace whether lines may be about it.
        progress: Told how many lines were dealt with.
    """

    namespace: str
    mode: ImportMode = ImportMode.LINES
    key: IdempotencyKey | None = None
    permits: Callable[[str], bool] | None = None
    progress: Callable[[int], None] | None = None

    async def run(self, engine: MemoryEngine, lines: AsyncGenerator[bytes]) -> ImportReport:
        """Import lines.

        Args:
            engine: Where to.
            lines: Lines without their ends; closed at the end.

        Returns:
            What was imported, or would be, and which lines were left out and why.

        Raises:
            ImportRefusedError: It is all or nothing, and some lines are not
                acceptable; nothing was stored.
            StorageFullError: There is no room to keep the lines; nothing was stored.
        """
        async with aclosing(lines):
            if self.mode is not ImportMode.ATOMIC:
                return await self._pass(engine, lines, dry_run=self.mode is ImportMode.CHECK)
            return await self._all_or_nothing(engine, lines)

    async def _all_or_nothing(
        self, engine: MemoryEngine, lines: AsyncGenerator[bytes]
    ) -> ImportReport:
        """Keep the lines on the disk while they are looked at; store them if all are acceptable."""
        with await asyncio.to_thread(_new_spool) as spool:
            checked = await self._pass(engine, _noting(lines, spool), dry_run=True)
            if checked.failed:
                raise _refused(checked)
            await asyncio.to_thread(spool.seek, 0)
            return await self._pass(engine, _noted(spool), dry_run=False)

    async def _pass(
        self, engine: MemoryEngine, lines: AsyncGenerator[bytes], *, dry_run: bool
    ) -> ImportReport:
        storing = not dry_run
        async with aclosing(lines):
            return await engine.import_lines(
                lines,
                default_namespace=self.namespace,
                progress=self.progress if storing or self.mode is ImportMode.CHECK else None,
                permits=self.permits,
                idempotency_key=self.key if storing else None,
                dry_run=dry_run,
            )


def _new_spool() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="sfm-import-")


def _refused(checked: ImportReport) -> ImportRefusedError:
    shown = " ".join(f"Line {one.line}: {one.message}" for one in checked.errors[:_SHOWN])
    return ImportRefusedError(
        f"Nothing was stored, because of {checked.failed} of the lines. {shown}",
        lines=checked.errors,
        remedy="Correct them, or leave mode=atomic (--atomic) out to have the others stored.",
    )


async def _noting(lines: AsyncGenerator[bytes], spool: IO[bytes]) -> AsyncGenerator[bytes]:
    """Pass lines on and write them to a file; blank ones, too, so that numbers stay."""
    block = bytearray()
    async with aclosing(lines):
        async for line in lines:
            block += line
            block += b"\n"
            if len(block) >= _AT_ONCE:
                await _keep(spool, bytes(block))
                block.clear()
            yield line
    await _keep(spool, bytes(block))


async def _keep(spool: IO[bytes], block: bytes) -> None:
    try:
        await asyncio.to_thread(_write, spool, block)
    except OSError as error:
        raise StorageFullError(
            f"The lines cannot be kept while they are looked at: {error.strerror or error}.",
            backend="file",
            remedy="Make room in the folder for temporary files, or name another as TMPDIR.",
        ) from error


def _write(spool: IO[bytes], block: bytes) -> None:
    spool.write(block)
    # What is left in a buffer may turn out later to have no room.
    spool.flush()


async def _noted(spool: IO[bytes]) -> AsyncGenerator[bytes]:
    while lines := await asyncio.to_thread(spool.readlines, _AT_ONCE):
        for line in lines:
            yield line
