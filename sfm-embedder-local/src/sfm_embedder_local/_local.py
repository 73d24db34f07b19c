"""What the embedders have in common whose model runs in this process."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sfm_core.errors import ClosedError, LimitExceededError
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.embedder import Fingerprint
from sfm_embedder_local._weights import ModelFile

ResultT = TypeVar("ResultT")


class Model(Protocol):
    """A loaded model."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised row per text; blocks while it computes."""
        ...


class LocalEmbedder(ABC):
    """Runs a model in a thread of its own, loaded when the first text comes.

    A batch is computed in slices, so that a cancelled call stops soon and
    concurrent calls take turns.
    """

    scheme: str
    shared: bool = False

    _files: ClassVar[tuple[ModelFile, ...]]
    _slice: ClassVar[int]

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._model: Model | None = None

    @property
    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """What its vectors are. Known before the model is loaded; never changes."""

    @abstractmethod
    def _load(self) -> Model:
        """Load the model; runs in the embedder's thread."""

    async def __aenter__(self) -> Self:
        """Start the thread; the model is not read yet."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"sfm-{self.scheme}")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the thread after the slice it is at, and let go of the model."""
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown, cancel_futures=True)
        self._model = None

    async def ping(self) -> None:
        """See that the weights are there; the model is not loaded for it.

        Raises:
            BackendUnavailableError: They are not installed.
            CorruptDataError: They are not the expected ones.
            ClosedError: The embedder is not open.
        """
        await self._in_thread(self._locate)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed many texts; see `Embedder.embed`.

        Args:
            texts: At most `MAX_BATCH`.

        Returns:
            float32, shape (len(texts), dimension), every row of L2 norm 1.

        Raises:
            LimitExceededError: More than `MAX_BATCH` texts.
            BackendUnavailableError: The weights are not installed.
            CorruptDataError: The weights are not the expected ones.
            ClosedError: The embedder is not open.
        """
        if len(texts) > MAX_BATCH:
            raise LimitExceededError(
                f"{len(texts)} texts are more than one call takes.",
                field="texts",
                remedy=f"Send at most {MAX_BATCH}.",
            )
        vectors = np.empty((len(texts), self.fingerprint.dimension), dtype=np.float32)
        for start in range(0, len(texts), self._slice):
            part = texts[start : start + self._slice]
            vectors[start : start + len(part)] = await self._in_thread(partial(self._work, part))
        return vectors

    def _work(self, texts: Sequence[str]) -> NDArray[np.float32]:
        # Only ever called in the one thread of the executor, so nobody loads twice.
        if self._model is None:
            self._model = self._load()
        return self._model.embed(texts)

    def _locate(self) -> None:
        for file in self._files:
            file.locate()

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        if self._executor is None:
            raise ClosedError(
                f"The embedder {self.scheme}: is not open.", remedy="Use it inside `async with`."
            )
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give every row the length 1, in place.

    Args:
        vectors: float32, shape (n, dimension). A row of zeros, as a text
            without content has, becomes the first axis: every text has a direction.

    Returns:
        The same array.
    """
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    nothing = norms < np.finfo(np.float32).tiny
    vectors[nothing, 0] = 1.0
    norms[nothing] = 1.0
    vectors /= norms[:, np.newaxis]
    return vectors
