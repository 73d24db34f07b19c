"""The contract of the embedder port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from sfm_core.errors import LimitExceededError
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.embedder import Embedder
from sfm_core.testing.contracts._base import BackendContract, Operation

_TEXTS = (
    "The cat sat on the mat.",
    "A cat was sitting on a mat.",
    "Interest rates were raised by the central bank.",
    "",
    " ",
    "\n",
    "?!",
    "a",
    "caf\u00e9",
    "\u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059",
    "\U0001f9e0\U0001f9e0",
    "\x00",
    "nul\x00inside",
    "word " * 3000,
    "x" * 3000,
)
_MEGABYTE = "All work and no play makes Jack a dull boy. " * 24_000


class EmbedderTests(BackendContract[Embedder]):
    """Fixtures and shorthands for tests of an embedder."""

    @pytest_asyncio.fixture
    async def embedder(self, make: Callable[[], Embedder]) -> AsyncIterator[Embedder]:
        """Return an open embedder."""
        async with make() as embedder:
            yield embedder

    def operations(self, backend: Embedder) -> Sequence[Operation]:
        """Return one small call of every method."""
        return (backend.ping, lambda: backend.embed(["text"]))


class EmbedderContract(EmbedderTests):
    """Everything that `Embedder` promises; override `make`."""

    async def test_the_fingerprint_is_known_before_opening_and_stays(
        self, make: Callable[[], Embedder]
    ) -> None:
        """The engine chooses a collection by it before it loads anything."""
        embedder = make()
        before = embedder.fingerprint
        async with embedder:
            vectors = await embedder.embed(["text"])
            assert embedder.fingerprint == before == make().fingerprint
        assert vectors.shape == (1, before.dimension)

    async def test_vectors_are_rows_of_float32_of_norm_one(self, embedder: Embedder) -> None:
        """Every one, whatever the text: empty, blank, without words, very long."""
        vectors = await embedder.embed(_TEXTS)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(_TEXTS), embedder.fingerprint.dimension)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(_TEXTS)), abs=1e-4)

    async def test_no_text_gives_no_vector(self, embedder: Embedder) -> None:
        """With the shape that a caller can stack."""
        vectors = await embedder.embed([])
        assert vectors.shape == (0, embedder.fingerprint.dimension)
        assert vectors.dtype == np.float32

    async def test_a_text_has_the_same_vector_alone_and_in_any_batch(
        self, embedder: Embedder
    ) -> None:
        """Whatever its batch mates, and in whatever order."""
        together = await embedder.embed(_TEXTS)
        backwards = await embedder.embed(_TEXTS[::-1])
        assert _same(together, backwards[::-1])
        for row, text in enumerate(_TEXTS):
            assert _same(together[row : row + 1], await embedder.embed([text]))

    async def test_another_instance_gives_the_same_vectors(
        self, make: Callable[[], Embedder]
    ) -> None:
        """Nothing depends on the process, the time or chance."""
        async with make() as one, make() as other:
            assert _same(await one.embed(_TEXTS), await other.embed(_TEXTS))

    async def test_different_texts_have_different_vectors(self, embedder: Embedder) -> None:
        """A vector says something about its text."""
        vectors = await embedder.embed(_TEXTS[:3])
        products = vectors @ vectors.T
        assert float(np.max(products - 2 * np.eye(3))) < 0.99

    async def test_texts_about_the_same_are_nearer(self, embedder: Embedder) -> None:
        """Sharing most of the words is as much as any embedder must notice."""
        one, alike, other = await embedder.embed(_TEXTS[:3])
        assert float(one @ alike) > float(one @ other) + 0.1

    async def test_a_text_that_is_too_long_is_cut(self, embedder: Embedder) -> None:
        """It is no error, and takes no memory or time out of proportion."""
        vectors = await embedder.embed([_MEGABYTE, _MEGABYTE + "More."])
        assert np.all(np.isfinite(vectors))

    async def test_tasks_at_once_each_get_their_own_vector(self, embedder: Embedder) -> None:
        """Batches of different callers do not mix."""
        texts = [f"text number {number}" for number in range(64)]
        alone = await embedder.embed(texts)
        found = await asyncio.gather(*(embedder.embed([text]) for text in texts))
        assert _same(alone, np.concatenate(found))

    async def test_other_tasks_run_while_texts_are_embedded(self, embedder: Embedder) -> None:
        """The event loop is not blocked; the work is done elsewhere."""
        await embedder.embed(["loaded"])
        most = 0
        # A short call may end before its thread has let others have the interpreter at all.
        for size in (200, 1_000, 5_000):
            texts = [f"{_TEXTS[2]} {size}{n}" for n in range(size)]
            most = max(most, await _turns_during(embedder.embed(texts)))
            if most > 10:
                break
        assert most > 10

    async def test_too_many_texts_are_refused(self, embedder: Embedder) -> None:
        """Before any of them is embedded."""
        with pytest.raises(LimitExceededError):
            await embedder.embed(["text"] * (MAX_BATCH + 1))


async def _turns_during(work: Awaitable[object]) -> int:
    task = asyncio.ensure_future(work)
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    await task
    return turns


def _same(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, atol=1e-5))
