"""The other side of the worker process: starts it, asks it, and starts it again when it died."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Final, TypeVar

import msgspec

from sfm_backend_qdrant.edge.errors import WorkerDiedError, WorkerRefusedError
from sfm_backend_qdrant.edge.messages import (
    LENGTH_BYTES,
    Answer,
    Call,
    Request,
    Start,
    framed,
)

AnswerT = TypeVar("AnswerT")

# The worker finds its modules where this process does, whatever has been done to the path here.
_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from sfm_backend_qdrant.edge.serving import main; main()"
)
_CLOSE_SECONDS: Final = 30.0


class WorkerProcess:
    """One worker process, from its start to its end."""

    def __init__(self, process: Process) -> None:
        """Take over a process that was just started.

        Raises:
            WorkerDiedError: It was not started with pipes.
        """
        if process.stdin is None or process.stdout is None:
            raise WorkerDiedError("has no pipes")
        self._process = process
        self._input = process.stdin
        self._output = process.stdout
        self._number = 0
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._reader = asyncio.create_task(self._read(), name="sfm-qdrant-edge")

    @classmethod
    async def start(cls, start: Start) -> WorkerProcess:
        """Start a process and let it take the folder.

        Args:
            start: Which folder, and how it is kept.

        Returns:
            The process, ready for calls.

        Raises:
            WorkerRefusedError: It cannot have the folder.
            WorkerDiedError: It ended at once.
            OSError: It could not be started.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", _PROGRAM, stdin=PIPE, stdout=PIPE
        )
        worker = cls(process)
        try:
            worker._input.write(json.dumps(sys.path).encode() + b"\n")
            await worker.ask(start, type(None))
        except BaseException:
            await worker.close()
            raise
        return worker

    @property
    def id(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not self._reader.done()

    async def ask(self, call: Call, answer: type[AnswerT]) -> AnswerT:
        """Ask, and wait for the answer.

        Args:
            call: What to do.
            answer: Type of the answer.

        Returns:
            The answer.

        Raises:
            WorkerRefusedError: The worker says why not.
            WorkerDiedError: It ended meanwhile; the call may have had its effect.
        """
        if not self.alive:
            raise self._died()
        self._number += 1
        number = self._number
        future = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self._send(framed(Request(number, call)))
            return msgspec.msgpack.decode(await future, type=answer)
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """Let it write everything to the disk, and wait for its end."""
        self._input.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
            await asyncio.shield(self._process.wait())
            await self._reader

    async def _send(self, data: bytes) -> None:
        # Whoever reads the answers notices when the worker is dead, and says so.
        with suppress(ConnectionError):
            try:
                self._input.write(data)
                await self._input.drain()
            except RuntimeError:
                # What uvloop says of a pipe that has closed.
                if not self._input.is_closing():
                    raise

    async def _read(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int.from_bytes(await self._output.readexactly(LENGTH_BYTES))
                self._take(
                    msgspec.msgpack.decode(await self._output.readexactly(size), type=Answer)
                )
        await self._process.wait()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._died())

    def _take(self, answer: Answer) -> None:
        future = self._waiting.get(answer.number)
        # Who asked may have given up meanwhile.
        if future is None or future.done():
            return
        if answer.problem is None:
            future.set_result(answer.result)
        else:
            future.set_exception(WorkerRefusedError(answer.problem))

    def _died(self) -> WorkerDiedError:
        return WorkerDiedError(f"ended with the status {self._process.returncode}")
