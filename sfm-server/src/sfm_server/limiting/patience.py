"""Cuts off clients that hold a connection and do not use it."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum, auto
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from sfm_core.errors import SfmError
from sfm_server.limiting.waiting import PATIENCE, Patience
from sfm_server.problems import (
    PROBLEM_JSON,
    HeadTooLargeError,
    OverloadedError,
    RequestTimeoutError,
    encode_problem,
    problem_of,
)

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 * 1024
_LOOK_SECONDS = 0.5
_LINGER_SECONDS = 0.5
"""How long a server that stops waits for requests that are on their way."""
_BYTES_PER_SECOND = 1000


class _Phase(Enum):
    HEAD = auto()
    BODY = auto()
    REST = auto()
    """Nothing is due from the client."""


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with deadlines for what clients send and take."""

    _since: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a first request."""
        super().connection_made(transport)
        self._patience = cast(Patience, self.app_state.get(PATIENCE) or Patience())
        self._stalled_since: float | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._expect(_Phase.HEAD)
        self._timer = self.loop.call_later(_LOOK_SECONDS, self._look)
        if len(self.connections) > self._patience.connections:
            self._refuse(OverloadedError("The server keeps as many connections as it can."))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to look at it."""
        self._timer.cancel()
        if self._lingering is not None:
            self._lingering.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what arrives, unless a head grows without end."""
        if self.transport.is_closing():
            return
        self._bytes += len(data)
        super().data_received(data)
        # Beside heads, also what follows a chunked body may go on without end.
        if self._phase is not _Phase.REST and self._bytes > MAX_HEAD_BYTES:
            self._refuse(HeadTooLargeError(f"The head takes more than {MAX_HEAD_BYTES} bytes."))
        elif self._phase is _Phase.REST and not self._answering:
            # What came has ended the wait for another request, and has begun none.
            self._expect(_Phase.HEAD)

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a head, unless that has begun already."""
        super().on_message_begin()
        if self._phase is not _Phase.HEAD:
            self._expect(_Phase.HEAD)

    def on_headers_complete(self) -> None:
        """Begin to wait for the body."""
        self._expect(_Phase.BODY)
        super().on_headers_complete()
        if self._lingering is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Wait longer for a body that comes, though never longer than for one that has begun."""
        self._bytes = 0
        if self._answering:
            earned = self._since + len(body) / _BYTES_PER_SECOND
            self._since = min(earned, self.loop.time())
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for nothing."""
        self._expect(_Phase.REST)
        super().on_message_complete()

    def shutdown(self) -> None:
        """Close after the answer in hand; where there is none, a request may be on its way."""
        if self._answering:
            super().shutdown()
        else:
            self._lingering = self.loop.call_later(_LINGER_SECONDS, self._close_if_idle)

    def pause_writing(self) -> None:
        """Note since when the client has taken nothing."""
        self._stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client has taken something."""
        self._stalled_since = None
        super().resume_writing()

    def _expect(self, phase: _Phase) -> None:
        self._phase = phase
        self._since = self.loop.time()
        self._bytes = 0

    def _look(self) -> None:
        """See twice a second whether the client still does its part."""
        self._timer = self.loop.call_later(_LOOK_SECONDS, self._look)
        now = self.loop.time()
        if self.transport.is_closing() and self._stalled_since is None:
            # What is left to send now has to be taken in time, too.
            self._stalled_since = now
        if self._stalled_since is not None:
            if now - self._stalled_since > self._patience.reader_seconds:
                log.info("a client that takes nothing of its answer is cut off")
                self.transport.abort()
            return
        if self._is_ours_to_do:
            self._since += _LOOK_SECONDS
        elif now - self._since > self._allowed():
            self._refuse(RequestTimeoutError("The request took too long to arrive."))

    @property
    def _is_ours_to_do(self) -> bool:
        """Whether it is this server that does not read just now, or has not answered yet."""
        if self._phase is _Phase.BODY:
            return self.flow.read_paused
        return self._phase is _Phase.HEAD and self._answering

    def _allowed(self) -> float:
        if self._phase is _Phase.HEAD:
            return self._patience.head_seconds
        if self._phase is _Phase.BODY:
            return self._patience.body_seconds
        return float("inf")

    @property
    def _answering(self) -> bool:
        # Before the first request there is none, whatever the type says.
        cycle = cast(RequestResponseCycle | None, self.cycle)
        return cycle is not None and not cycle.response_complete

    def _close_if_idle(self) -> None:
        if not self._answering:
            self.transport.close()

    def _refuse(self, error: SfmError) -> None:
        """Say why, where nothing else is being said, and close the connection."""
        if self._answering and self.cycle.response_started:
            self.transport.abort()
            return
        answered = self._phase is _Phase.BODY and not self._answering
        silent = self._phase is _Phase.HEAD and not self._bytes
        if isinstance(error, OverloadedError) or not (answered or silent):
            self.transport.write(_answer(error))
        self.transport.close()


def _answer(error: SfmError) -> bytes:
    problem = problem_of(error, "")
    body = encode_problem(problem)
    head = (
        f"HTTP/1.1 {problem.status} {problem.title}\r\n"
        f"content-type: {PROBLEM_JSON}\r\n"
        f"content-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body
