from __future__ import annotations

from collections.abc import Callable

import pytest

from sfm_core.inprocess import HashingEmbedder
from sfm_core.testing.contracts import EmbedderContract


class TestHashingEmbedder(EmbedderContract):
    shared = False

    @pytest.fixture
    def make(self) -> Callable[[], HashingEmbedder]:
        return HashingEmbedder


async def test_words_with_common_parts_are_nearer_than_words_without() -> None:
    async with HashingEmbedder() as embedder:
        one, alike, other = await embedder.embed(["painting", "painted", "quantum"])
    assert float(one @ alike) > float(one @ other) + 0.1


async def test_case_and_width_make_no_difference() -> None:
    async with HashingEmbedder() as embedder:
        one, other = await embedder.embed(["Cat 1", "\uff23\uff41\uff54 \uff11"])
    assert float(one @ other) == pytest.approx(1.0, abs=1e-6)


async def test_vectors_are_the_same_in_every_release() -> None:
    async with HashingEmbedder() as embedder:
        [vector] = await embedder.embed(["memory"])
    strongest = max(range(256), key=lambda place: abs(float(vector[place])))
    assert (strongest, round(float(vector[strongest]), 3)) == (13, -0.857)
