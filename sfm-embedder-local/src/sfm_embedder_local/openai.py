"""`openai:`: any HTTP endpoint that speaks the OpenAI embeddings API."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Self

import httpx
import msgspec
import numpy as np
from numpy.typing import NDArray
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from sfm_core.clock import Clock
from sfm_core.errors import (
    BackendUnavailableError,
    ClosedError,
    DeadlineExceededError,
    LimitExceededError,
)
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.embedder import Fingerprint
from sfm_embedder_local import _errors
from sfm_embedder_local._local import unit_rows
from sfm_embedder_local.settings import OpenAiSettings

MAX_ATTEMPTS = 5

_LARGEST_COMPONENT = 1e18
"""The square of a larger one does not fit into 32 bits, so its vector has no length."""

_LONGEST_WAIT = timedelta(seconds=30)
_backoff = wait_random_exponential(multiplier=0.25, max=8)


class _Embedding(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Embedding]


class _PassingError(Exception):
    """A failure that is worth another attempt."""

    def __init__(self, reason: BackendUnavailableError, retry_after: timedelta | None) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.retry_after = retry_after


class OpenAiEmbedder:
    """Sends texts in batches, several at a time, and again when that may help.

    That a text has the same vector alone and in a batch is up to the service.
    """

    scheme: str = "openai"
    shared: bool = True

    def __init__(self, settings: OpenAiSettings, clock: Clock) -> None:
        """Prepare; nothing is sent before the first call.

        Args:
            settings: Where to send what.
            clock: Waits between attempts.
        """
        self._settings = settings
        self._clock = clock
        self._url = f"{settings.endpoint}/embeddings"
        self._client: httpx.AsyncClient | None = None
        self._decoding: ThreadPoolExecutor | None = None
        self._places = asyncio.Semaphore(settings.concurrency)

    @property
    def fingerprint(self) -> Fingerprint:
        """What its vectors are. Known before the model is loaded; never changes."""
        return Fingerprint(
            model=f"openai/{self._settings.model}",
            revision=f"{self._settings.revision}-{self._settings.max_characters}",
            dimension=self._settings.dimension,
        )

    async def __aenter__(self) -> Self:
        """Open the client; no connection is made yet."""
        key = self._settings.api_key
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=self._settings.timeout.total_seconds(),
            limits=httpx.Limits(max_connections=self._settings.concurrency),
        )
        self._decoding = ThreadPoolExecutor(1, thread_name_prefix="sfm-openai")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        decoding, self._decoding = self._decoding, None
        if decoding is not None:
            await asyncio.to_thread(decoding.shutdown, cancel_futures=True)
        if client is not None:
            await client.aclose()

    async def ping(self) -> None:
        """Embed one word.

        Raises:
            BackendUnavailableError: The service was not reached.
            BackendError: The service refuses such requests.
            CorruptDataError: It answered with something else.
            ClosedError: The embedder is not open.
        """
        await self.embed(["ping"])

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed many texts; see `Embedder.embed`.

        Args:
            texts: At most `MAX_BATCH`. A blank text is not sent, as services
                refuse it; its vector is the first axis.

        Returns:
            float32, shape (len(texts), dimension), every row of L2 norm 1.

        Raises:
            LimitExceededError: More than `MAX_BATCH` texts.
            BackendUnavailableError: The service was not reached, or has had enough.
            DeadlineExceededError: It took longer than the deadline in all.
            BackendError: The service refuses the request; the same one will not do.
            CorruptDataError: It answered with something else.
            ClosedError: The embedder is not open.
        """
        if len(texts) > MAX_BATCH:
            raise LimitExceededError(
                f"{len(texts)} texts are more than one call takes.",
                field="texts",
                remedy=f"Send at most {MAX_BATCH}.",
            )
        self._opened()
        vectors = np.zeros((len(texts), self._settings.dimension), dtype=np.float32)
        rows = [row for row, text in enumerate(texts) if text.strip()]
        deadline = self._settings.deadline.total_seconds()
        try:
            async with asyncio.timeout(deadline):
                await self._embed_rows(vectors, texts, rows)
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"{self._url} had not answered everything after {deadline:g} seconds.",
                backend=self.scheme,
                remedy="Raise deadline_seconds, or send fewer texts at a time.",
            ) from error
        return unit_rows(vectors)

    async def _embed_rows(
        self, vectors: NDArray[np.float32], texts: Sequence[str], rows: Sequence[int]
    ) -> None:
        size = self._settings.batch
        batches = [rows[start : start + size] for start in range(0, len(rows), size)]
        try:
            async with asyncio.TaskGroup() as group:
                for batch in batches:
                    group.create_task(self._embed_batch(vectors, texts, batch))
        except ExceptionGroup as errors:
            # One failed request ends the call; callers know single errors, not groups.
            first = errors.exceptions[0]
            raise first from first.__cause__

    async def _embed_batch(
        self, vectors: NDArray[np.float32], texts: Sequence[str], rows: Sequence[int]
    ) -> None:
        limit = self._settings.max_characters
        cut = [texts[row][:limit].encode(errors="replace").decode() for row in rows]
        async with self._places:
            content = await self._request(cut)
        decoding = self._opened_decoding()
        vectors[list(rows)] = await asyncio.get_running_loop().run_in_executor(
            decoding, partial(self._decode, content, len(cut))
        )

    async def _request(self, texts: Sequence[str]) -> bytes:
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(_PassingError),
            stop=stop_after_attempt(MAX_ATTEMPTS),
            wait=_wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return await attempts(self._attempt, texts)
        except _PassingError as error:
            raise error.reason from error.__cause__

    async def _attempt(self, texts: Sequence[str]) -> bytes:
        body = {"model": self._settings.model, "input": list(texts), "encoding_format": "float"}
        try:
            response = await self._opened().post(self._url, json=body)
        except httpx.HTTPError as error:
            reason = _errors.from_transport(error, backend=self.scheme, endpoint=self._url)
            raise _retried(reason, None) from error
        if not response.is_success:
            reason = _errors.from_status(response, backend=self.scheme, endpoint=self._url)
            raise _retried(reason, _retry_after(response))
        return response.content

    def _decode(self, content: bytes, count: int) -> NDArray[np.float32]:
        try:
            answer = msgspec.json.decode(content, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._unexpected(f"something that is no list of embeddings ({error})") from error
        places = sorted(entry.index for entry in answer.data)
        if places != list(range(count)):
            raise self._unexpected(f"{len(places)} embeddings for {count} texts")
        vectors = np.empty((count, self._settings.dimension), dtype=np.float64)
        for entry in answer.data:
            if len(entry.embedding) != self._settings.dimension:
                raise self._unexpected(
                    f"vectors of {len(entry.embedding)} numbers instead of "
                    f"{self._settings.dimension}"
                )
            vectors[entry.index] = entry.embedding
        if not (np.abs(vectors) < _LARGEST_COMPONENT).all():
            raise self._unexpected("numbers that no embedding has")
        return vectors.astype(np.float32)

    def _unexpected(self, what: str) -> Exception:
        return _errors.unexpected_answer(what, backend=self.scheme, endpoint=self._url)

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            raise ClosedError("The embedder openai: is not open.", remedy="Use `async with`.")
        return self._client

    def _opened_decoding(self) -> ThreadPoolExecutor:
        if self._decoding is None:
            raise ClosedError("The embedder openai: was closed meanwhile.")
        return self._decoding

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(timedelta(seconds=seconds))


def _retried(reason: Exception, retry_after: timedelta | None) -> Exception:
    if isinstance(reason, BackendUnavailableError):
        return _PassingError(reason, retry_after)
    return reason


def _retry_after(response: httpx.Response) -> timedelta | None:
    """Read how long the service wants to be left alone; dates are not understood."""
    header = response.headers.get("retry-after", "").strip()
    if not (header.isascii() and header.isdecimal()):
        return None
    return min(timedelta(seconds=int(header[:9])), _LONGEST_WAIT)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _PassingError) and error.retry_after is not None:
        return error.retry_after.total_seconds()
    return _backoff(state)
