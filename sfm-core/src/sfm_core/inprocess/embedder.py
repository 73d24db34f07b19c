"""An embedder without a model: texts that share words or parts of words are near."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import lru_cache, partial
from hashlib import blake2b
from math import log

import numpy as np
from numpy.typing import NDArray

from sfm_core.inprocess._base import InProcessBackend
from sfm_core.porting import check_batch
from sfm_core.protocols.embedder import Fingerprint

DIMENSION = 256
MAX_CHARACTERS = 20_000
"""A text is read up to here."""

_WORD = re.compile(r"\w+")
_PART_WEIGHT = 0.6
_SIGN_BIT = 1 << 31


class HashingEmbedder(InProcessBackend):
    """Words and their three-letter parts, hashed to places of the vector."""

    def __init__(self) -> None:
        super().__init__("hashing")
        self._executor: ThreadPoolExecutor | None = None

    @property
    def fingerprint(self) -> Fingerprint:
        """What its vectors are."""
        return Fingerprint(model="hashing", revision="1", dimension=DIMENSION)

    async def _take(self, stack: AsyncExitStack) -> None:
        await super()._take(stack)
        # Pure Python holds the interpreter, but a thread lets the loop have its turns.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sfm-hashing")
        end = partial(self._executor.shutdown, cancel_futures=True)
        stack.push_async_callback(asyncio.to_thread, end)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed many texts; see `Embedder.embed`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` texts.
            ClosedError: The embedder is not open.
        """
        await self._turn()
        check_batch(len(texts), "texts")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, embed_texts, tuple(texts))


def embed_texts(texts: Sequence[str]) -> NDArray[np.float32]:
    """Embed texts in the calling thread: what `HashingEmbedder.embed` has done in another."""
    vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
    for row, text in enumerate(texts):
        vectors[row] = _embed(text)
    return vectors


def _embed(text: str) -> NDArray[np.float64]:
    vector = np.zeros(DIMENSION, dtype=np.float64)
    normal = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).casefold()
    for word, times in Counter(_WORD.findall(normal)).items():
        weight = 1.0 + log(times)
        for place, amount in _features(word):
            vector[place] += weight * amount
    norm = float(np.linalg.norm(vector))
    if norm == 0.0:
        # A text without words must have a direction too, and one of its own.
        vector[0] = norm = 1.0
    return vector / norm


@lru_cache(maxsize=32_768)
def _features(word: str) -> tuple[tuple[int, float], ...]:
    framed = f"<{word[:64]}>"
    parts = [framed[start : start + 3] for start in range(len(framed) - 2)]
    share = _PART_WEIGHT / len(parts) ** 0.5
    return (_hashed("w" + word, 1.0), *(_hashed("p" + part, share) for part in parts))


def _hashed(feature: str, weight: float) -> tuple[int, float]:
    # The built-in hash of text differs from process to process.
    digest = blake2b(feature.encode(errors="surrogatepass"), digest_size=4).digest()
    number = int.from_bytes(digest)
    return number % DIMENSION, weight if number & _SIGN_BIT else -weight
