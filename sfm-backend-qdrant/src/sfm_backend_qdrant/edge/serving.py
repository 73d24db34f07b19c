"""The worker process: answers one call after another.

It ends when its input does, which is also what it sees when the process that started
it dies.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import signal
import sys
import threading
from io import TextIOWrapper
from typing import BinaryIO, Final, cast

import msgspec

from sfm_backend_qdrant.edge.errors import WorkerError
from sfm_backend_qdrant.edge.messages import (
    LENGTH_BYTES,
    Answer,
    Problem,
    Request,
    Start,
    framed,
)
from sfm_backend_qdrant.edge.worker import Worker

_FULL: Final = ("no space left", "disk full", "not enough space")
_READ_ONLY: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NOTHING: Final = msgspec.Raw(msgspec.msgpack.encode(None))


def main() -> None:
    """Serve until the input ends."""
    # A signal that a terminal or a service manager sends to all processes of a program is for the
    # one that started this: it ends it in its own time, by closing the input.
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(signal.Signals[name], signal.SIG_IGN)
    # What cannot be answered because nobody is there any more ends it as the end of the input does.
    with contextlib.suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as output:
        # Nothing that prints may come between the answers.
        os.dup2(2, 1)
        calls: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        # Taken from `sys.stdin`, which the interpreter closes when it ends: it would die of the
        # thread that still reads.
        source = cast("TextIOWrapper", sys.stdin).detach()
        threading.Thread(target=_read, args=(source, calls), daemon=True).start()
        del source
        worker = _start(calls, output)
        if worker is not None:
            try:
                _serve(worker, calls, output)
            finally:
                worker.close()


def _start(calls: queue.SimpleQueue[bytes | None], output: BinaryIO) -> Worker | None:
    body = calls.get()
    if body is None:
        return None
    request = msgspec.msgpack.decode(body, type=Request)
    if not isinstance(request.call, Start):
        return None
    try:
        worker = Worker(request.call)
    except (WorkerError, OSError) as error:
        _send(output, Answer(request.number, _NOTHING, _problem(error)))
        return None
    _send(output, Answer(request.number, _NOTHING))
    return worker


def _serve(worker: Worker, calls: queue.SimpleQueue[bytes | None], output: BinaryIO) -> None:
    while True:
        try:
            body = calls.get(timeout=worker.pause())
        except queue.Empty:
            worker.proceed()
            continue
        if body is None:
            return
        _send(output, _answered(worker, msgspec.msgpack.decode(body, type=Request)))
        worker.extend()


def _answered(worker: Worker, request: Request) -> Answer:
    try:
        result = worker.answer(request.call)
    except Exception as error:  # noqa: BLE001 - the engine raises nothing else; it goes to the caller
        return Answer(request.number, _NOTHING, _problem(error))
    return Answer(request.number, msgspec.Raw(msgspec.msgpack.encode(result)))


def _problem(error: Exception) -> Problem:
    text = str(error)
    if isinstance(error, WorkerError):
        return Problem(error.kind, text)
    if isinstance(error, OSError) and error.errno in _READ_ONLY:
        return Problem("read-only", text)
    full = any(sign in text.lower() for sign in _FULL)
    return Problem("full" if full else "failed", text)


def _send(output: BinaryIO, answer: Answer) -> None:
    output.write(framed(answer))
    output.flush()


def _read(source: BinaryIO, calls: queue.SimpleQueue[bytes | None]) -> None:
    while len(head := source.read(LENGTH_BYTES)) == LENGTH_BYTES:
        size = int.from_bytes(head)
        body = source.read(size)
        if len(body) < size:
            break
        calls.put(body)
    calls.put(None)
