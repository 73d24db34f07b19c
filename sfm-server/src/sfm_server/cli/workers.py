"""Worker processes whose parent notices at once, and tells, that they cannot start.

Those that a server begins with have to; one that takes the place of another is tried again.
"""

from __future__ import annotations

import logging
import signal
import time
from socket import socket
from threading import Thread

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from sfm_core.errors import SfmError
from sfm_server.cli.exits import Exit, exit_of
from sfm_server.cli.server import StoppableServer

_FAILURES = 64
"""What is added to the status of a worker that could not start, so that it means nothing else."""

_TURN_SECONDS = 1.0

_LOOK_SECONDS = 0.1
"""Between two looks at a worker that starts."""

_STOPS = frozenset({signal.SIGINT, signal.SIGTERM})

_PAUSE_SECONDS = 5.0
"""Between two tries to replace a worker that died."""

log = logging.getLogger("uvicorn.error")


class Worker(Process):
    """One worker."""

    def target(self, sockets: list[socket] | None = None) -> None:
        """Serve until told to stop; runs in the process of the worker.

        Args:
            sockets: Where to listen.

        Raises:
            SystemExit: It could not start; the status says why.
        """
        # Before there is a second thread that would make one of its own.
        self._server = server = StoppableServer(self.config)
        Thread(target=self.always_pong, daemon=True).start()
        # As long as nothing is open, a signal may end the process at once.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            self.config.load()
            server.run(sockets)
        except SystemExit:
            raise SystemExit(_FAILURES + _reason(self.config)) from None

    @property
    def exitcode(self) -> int | None:
        """Status of the process: that of a start that failed, whatever the reason was."""
        return super().exitcode if self.failure is None else STARTUP_FAILURE

    @property
    def failure(self) -> Exit | None:
        """Why it could not start; `None` where it did, or has not ended."""
        code = super().exitcode or 0
        return Exit(code - _FAILURES) if code >= _FAILURES else None


class _Workers(Multiprocess):
    def __init__(self, config: Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._first: set[Process] = set()
        self._ended: dict[Process, float] = {}

    def init_processes(self) -> None:
        self.processes = [self._begun() for _ in range(self.processes_num)]
        self._first.update(self.processes)

    def keep_subprocess_alive(self) -> None:
        for index, worker in enumerate(self.processes):
            if self.should_exit.is_set() or self._answers(worker):
                continue
            if worker not in self._ended:
                worker.kill()
                worker.join()
                self._ended[worker] = time.monotonic()
            failed = worker.exitcode == STARTUP_FAILURE
            if failed and worker in self._first:
                log.error("Child process [%s] failed to start, stopping.", worker.pid)
                self.should_exit.set()
            # Others may serve while a store is away, and that one will start when it is back.
            elif not failed or time.monotonic() >= self._ended[worker] + _PAUSE_SECONDS:
                log.info("Child process [%s] died", worker.pid)
                del self._ended[worker]
                self.processes[index] = self._begun()

    def restart_all(self) -> None:
        for index, old in enumerate(tuple(self.processes)):
            if self._told_to_stop():
                return
            new = self._begun()
            if self._comes_up(new):
                old.terminate()
                old.join()
                self.processes[index] = new
            elif self._told_to_stop():
                # It is told as well, and waited for.
                self.processes.append(new)
            else:
                new.kill()
                new.join()
                log.error("Child process [%s] is not ready, keeping [%s].", new.pid, old.pid)
                return

    def _answers(self, worker: Process) -> bool:
        deadline = time.monotonic() + self.config.timeout_worker_healthcheck
        # In short turns: who ends while it is asked never answers, and a signal is not to wait.
        while worker.process.is_alive():
            if worker.ping(_TURN_SECONDS) or self.signal_queue:
                return True
            if time.monotonic() >= deadline:
                return False
        return False

    def _comes_up(self, worker: Process) -> bool:
        deadline = time.monotonic() + self.config.timeout_worker_healthcheck
        while worker.process.is_alive() and time.monotonic() < deadline:
            if self._told_to_stop():
                return False
            if worker.is_ready(_TURN_SECONDS):
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def _told_to_stop(self) -> bool:
        return not _STOPS.isdisjoint(self.signal_queue)

    def _begun(self) -> Worker:
        worker = Worker(self.config, self.sockets)
        worker.start()
        return worker

    @property
    def status(self) -> Exit:
        failed = [one for one in self.processes if one.exitcode == STARTUP_FAILURE]
        told = [one.failure for one in failed if isinstance(one, Worker) and one.failure]
        return told[0] if told else Exit.FAILED if failed else Exit.OK


def run_workers(config: Config) -> Exit:
    """Serve with several workers until told to stop.

    Args:
        config: How; it names the application by its place.

    Returns:
        The exit status: that of the first worker that could not start, if one could not.
    """
    try:
        listening = config.bind_socket()
    except SystemExit:  # the log says that the port is taken
        return Exit.FAILED
    with listening:
        workers = _Workers(config, [listening])
        workers.run()
    return workers.status


def _reason(config: Config) -> Exit:
    # The parent needs none of it.
    from sfm_server.app import MemoryApp  # noqa: PLC0415

    # It is not there where it could not be made, and behind another where proxies are trusted.
    served: object = vars(config).get("loaded_app")
    app = getattr(served, "app", served)
    failure: SfmError | None = app.state.failure if isinstance(app, MemoryApp) else None
    return Exit.FAILED if failure is None else exit_of(failure)
