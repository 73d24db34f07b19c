"""Qdrant's engine without a server: in a worker process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final, TypeVar

import msgspec
import numpy as np
from qdrant_client import models

from sfm_backend_qdrant._collections import INDEXES
from sfm_backend_qdrant._encoding import StoredPoint
from sfm_backend_qdrant._errors import AlreadyExistsError
from sfm_backend_qdrant._qdrant import Arm, Ask, Offset, Order
from sfm_backend_qdrant._statements import TEXT_KEYS, TEXTS
from sfm_backend_qdrant.edge import messages
from sfm_backend_qdrant.edge.messages import Call, EdgeFound, EdgePage, Problem
from sfm_backend_qdrant.edge.process import WorkerDiedError, WorkerProcess, WorkerRefusedError
from sfm_backend_qdrant.settings import QdrantSettings
from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    CorruptDataError,
    DeadlineExceededError,
    SfmError,
    StorageFullError,
)

AnswerT = TypeVar("AnswerT")

# Nothing forbids conditions without an index here, and each takes its time when a collection is
# made: of a text, the beginning is enough to leave few points to be looked at.
_NEEDLESS: Final = frozenset(f"{TEXTS}[].{key}" for key in TEXT_KEYS[1:])
_INDEXES: Final = {
    field: msgspec.convert(schema.model_dump(exclude_none=True), messages.Index)
    for field, schema in INDEXES.items()
    if field not in _NEEDLESS
}


class EdgeQdrant:
    """Collections in a folder, which one worker process has open."""

    def __init__(self, settings: QdrantSettings) -> None:
        self._settings = settings
        self._users = 0
        self._lock = asyncio.Lock()
        self._worker: WorkerProcess | None = None

    @property
    def settings(self) -> QdrantSettings:
        """What it was made with."""
        return self._settings

    @property
    def worker_id(self) -> int | None:
        """The id of the worker process; `None` where there is none."""
        return None if self._worker is None else self._worker.id

    async def open(self) -> None:
        """Start the worker at the first call; count users at the others.

        Raises:
            ConfigurationError: Another process has the folder, or the engine
                is not installed.
            BackendUnavailableError: The worker cannot be started.
        """
        if find_spec("qdrant_edge") is None:
            raise ConfigurationError(
                "Qdrant's engine is not installed.",
                setting="SFM_VECTOR_URL",
                remedy="pip install 'somafractalmemory-backend-qdrant[edge]'",
            )
        with self._translated():
            await self._started()
        self._users += 1

    async def close(self) -> None:
        """End the worker when the last user goes."""
        self._users -= 1
        async with self._lock:
            if self._users == 0 and self._worker is not None:
                worker, self._worker = self._worker, None
                await worker.close()

    async def ping(self) -> None:
        """Ask the worker for the names of collections."""
        await self.names()

    async def names(self) -> list[str]:
        """List the collections; see `Qdrant.names`."""
        return await self._ask(messages.Names(), list[str])

    async def exists(self, name: str) -> bool:
        """Tell whether there is such a collection."""
        return name in await self.names()

    async def create(self, name: str, dimension: int) -> None:
        """Make a collection; see `Qdrant.create`."""
        await self._ask(messages.Create(name, dimension, _INDEXES), type(None))

    async def complete(self, name: str) -> int | None:
        """Make the indexes that a collection lacks; see `Qdrant.complete`."""
        return await self._ask(messages.Complete(name, _INDEXES), int)

    async def dimension(self, name: str) -> int | None:
        """Return the dimension of a collection; see `Qdrant.dimension`."""
        return await self._ask(messages.Dimension(name), int)

    async def upsert(self, name: str, points: Sequence[StoredPoint]) -> None:
        """Write points; see `Qdrant.upsert`."""
        written = [
            messages.Written(each.id, _raw(each.vector), {**each.words}, {**each.fields})
            for each in points
        ]
        await self._ask(messages.Upsert(name, written), type(None))

    async def delete(self, name: str, ids: Sequence[str]) -> None:
        """Remove points; see `Qdrant.delete`."""
        await self._ask(messages.Delete(name, [*ids]), type(None))

    async def query(self, name: str, asks: Sequence[Ask]) -> list[list[list[EdgeFound]]]:
        """Search; see `Qdrant.query`."""
        asked = [_asked(ask) for ask in asks]
        return await self._ask(messages.Query(name, asked), list[list[list[EdgeFound]]])

    async def scroll(
        self,
        name: str,
        condition: models.Filter,
        fields: list[str],
        *,
        size: int,
        order: Order | None = None,
        offset: Offset | None = None,
    ) -> EdgePage:
        """List points; see `Qdrant.scroll`."""
        key, start = (None, None) if order is None else (order.key, order.start)
        call = messages.Scroll(name, _said(condition), fields, size, key, start, offset)
        return await self._ask(call, EdgePage)

    async def drop(self, name: str) -> None:
        """Remove a collection; see `Qdrant.drop`."""
        await self._ask(messages.Drop(name), type(None))

    async def maintain(self) -> None:
        """Write everything to the disk; see `SupportsMaintenance`."""
        await self._ask(messages.Maintain(), type(None))

    async def _ask(self, call: Call, answer: type[AnswerT]) -> AnswerT:
        with self._translated():
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                worker = await self._started()
                return await worker.ask(call, answer)

    async def _started(self) -> WorkerProcess:
        """Return the worker; a new one where there is none, or where it has died."""
        async with self._lock:
            if self._worker is None or not self._worker.alive:
                self._worker = None
                self._worker = await WorkerProcess.start(self._start())
            return self._worker

    def _start(self) -> messages.Start:
        settings = self._settings
        return messages.Start(
            folder=str(settings.folder),
            durable=settings.durable,
            wait_seconds=settings.lock_wait.total_seconds(),
            scan_kilobytes=settings.scan_kilobytes,
            step_kilobytes=settings.step_kilobytes,
        )

    @contextmanager
    def _translated(self) -> Generator[None]:
        place, scheme = self._settings.place, self._settings.scheme
        try:
            yield
        except TimeoutError as error:
            seconds = self._settings.timeout.total_seconds()
            raise DeadlineExceededError(
                f"{place} did not answer within {seconds:g} s.",
                backend=scheme,
                remedy="Try again, or raise timeout_seconds in its URL.",
            ) from error
        except WorkerRefusedError as error:
            raise self._said_by_worker(error.problem) from error
        except WorkerDiedError as error:
            raise BackendUnavailableError(
                f"The worker process of {place} {error}.",
                backend=scheme,
                remedy="It is started again at the next call; its last words are on stderr.",
            ) from error
        except OSError as error:
            raise BackendUnavailableError(
                f"The worker process of {place} cannot be started: {error}.", backend=scheme
            ) from error

    def _said_by_worker(self, problem: Problem) -> SfmError | AlreadyExistsError:
        place, scheme = self._settings.place, self._settings.scheme
        match problem.kind:
            case "exists":
                return AlreadyExistsError(problem.text)
            case "missing":
                return ConfigurationError(
                    f"{place} has no collection {problem.text!r}.", remedy="Call ensure first."
                )
            case "held":
                return ConfigurationError(
                    f"{place} is in use by another process.",
                    setting="SFM_VECTOR_URL",
                    remedy="Only one process at a time can have it: end the other one, give each "
                    "a folder of its own, or run a server to share the points.",
                )
            case "full":
                return StorageFullError(
                    f"{place} has no room left: {problem.text}",
                    backend=scheme,
                    remedy="Free space on its disk, or move the data folder to a larger one.",
                )
            case "corrupt":
                return CorruptDataError(
                    f"{place} cannot be read: {problem.text}",
                    backend=scheme,
                    remedy="Remove the folder; the index is then rebuilt from the memories.",
                )
            case _:
                return BackendError(f"{place} failed: {problem.text}", backend=scheme)


def _raw(vector: np.typing.NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(vector, dtype=np.float32).tobytes()


def _said(condition: models.Filter) -> messages.Condition:
    return msgspec.convert(condition.model_dump(exclude_none=True), messages.Condition)


def _asked(ask: Ask) -> messages.Asked:
    return messages.Asked(
        arms=[_arm(arm) for arm in ask.arms],
        condition=_said(ask.condition),
        corpus=_said(ask.corpus),
        fields=ask.fields,
        size=ask.size,
    )


def _arm(arm: Arm) -> messages.AskedArm:
    vector = None if arm.vector is None else _raw(arm.vector)
    words: Mapping[int, float] | None = arm.words
    return messages.AskedArm(arm.using, vector, None if words is None else {**words})
