"""Why a worker did not answer. None of these leaves this package."""

from __future__ import annotations

from sfm_backend_qdrant.edge.messages import Problem


class WorkerError(Exception):
    """A call cannot be answered; raised inside the worker.

    Attributes:
        kind: See `messages.Problem`.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class WorkerRefusedError(Exception):
    """The worker says why it cannot answer; raised by who asked it.

    Attributes:
        problem: What it says.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class WorkerDiedError(Exception):
    """The worker ended before it answered; raised by who asked it."""
