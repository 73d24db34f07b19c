from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import AsyncIterator

import numpy as np
import pytest

from sfm_embedder_local._local import LocalEmbedder
from sfm_embedder_local.minilm import MiniLmEmbedder
from sfm_embedder_local.static import StaticEmbedder

EMBEDDERS = (StaticEmbedder, MiniLmEmbedder)

TEXTS = [
    "Ann: I bought a sailing boat last summer.",
    "",
    "  \n",
    "x",
    "!?",
    "Größe, œuvre, naïve",
    "昨日東京に行きました",
    "🙂 👩‍👩‍👧‍👦",
    "\u0000 and \ud800 are no words",
    "A much longer text, " + "with many more words than the others have, " * 30,
]


@pytest.fixture(params=EMBEDDERS, ids=[embedder.scheme for embedder in EMBEDDERS])
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[LocalEmbedder]:
    kind: type[LocalEmbedder] = request.param
    async with kind() as opened:
        yield opened


@pytest.mark.smoke
async def test_rows_have_length_one(embedder: LocalEmbedder) -> None:
    vectors = await embedder.embed(TEXTS)

    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), embedder.fingerprint.dimension)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


async def test_a_text_has_the_same_vector_alone_and_in_a_batch(embedder: LocalEmbedder) -> None:
    together = await embedder.embed(TEXTS)
    alone = np.concatenate([await embedder.embed([text]) for text in TEXTS])

    assert np.array_equal(together, alone)


async def test_blank_texts_have_one_direction(embedder: LocalEmbedder) -> None:
    vectors = await embedder.embed(["", " ", "\n\t"])

    assert (vectors[:, 0] == 1.0).all()


async def test_similar_meanings_are_nearer_than_others(embedder: LocalEmbedder) -> None:
    boat, sail, tax = await embedder.embed(
        [
            "Ann bought a small boat for sailing",
            "she sails her new yacht on the lake",
            "the tax office wants the form by Monday",
        ]
    )

    assert boat @ sail > boat @ tax + 0.1


async def test_ten_megabytes_of_text_are_cut(embedder: LocalEmbedder) -> None:
    start = "the boat on the lake " * 1_000

    whole, beginning = await embedder.embed([start + "x " * 5_000_000, start])

    assert np.array_equal(whole, beginning)


async def test_a_cancelled_call_leaves_the_embedder_usable(embedder: LocalEmbedder) -> None:
    task = asyncio.create_task(embedder.embed(TEXTS * 100))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await embedder.embed(["still here"])).shape[0] == 1


async def test_ping_answers_without_loading_the_model(embedder: LocalEmbedder) -> None:
    await embedder.ping()

    assert embedder._model is None  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("kind", EMBEDDERS)
async def test_it_can_be_opened_again(kind: type[LocalEmbedder]) -> None:
    embedder = kind()
    async with embedder:
        first = await embedder.embed(["text"])
    async with embedder:
        assert np.array_equal(await embedder.embed(["text"]), first)


async def test_static_tells_no_letter_case_apart() -> None:
    async with StaticEmbedder() as embedder:
        lower, upper = await embedder.embed(["sailing boat", "Sailing BOAT"])

    assert np.array_equal(lower, upper)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone tells what is allocated")
async def test_nothing_of_a_text_is_kept(embedder: LocalEmbedder) -> None:
    async def embed(numbers: range) -> None:
        for number in numbers:
            await embedder.embed([f"{number} sailing boats on the lake, and {number} at home"])

    await embed(range(100))
    before = _allocated_bytes()
    await embed(range(100, 1_100))

    assert _allocated_bytes() - before < 500_000


async def test_minilm_knows_the_order_of_words() -> None:
    async with MiniLmEmbedder() as embedder:
        one, other = await embedder.embed(["the dog bit the man", "the man bit the dog"])

    assert one @ other < 0.999


class _MallocInfo(ctypes.Structure):
    """What glibc's `mallinfo2` tells."""

    _fields_ = [
        *((f"other{number}", ctypes.c_size_t) for number in range(4)),
        ("mapped", ctypes.c_size_t),
        *((f"other{number}", ctypes.c_size_t) for number in range(4, 6)),
        ("used", ctypes.c_size_t),
        *((f"other{number}", ctypes.c_size_t) for number in range(6, 8)),
    ]

    mapped: int
    used: int


def _allocated_bytes() -> int:
    """Return how much native code of this process has allocated and not freed."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _MallocInfo
    told: _MallocInfo = mallinfo()
    return told.mapped + told.used
