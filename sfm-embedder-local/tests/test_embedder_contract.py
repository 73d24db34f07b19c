from __future__ import annotations

from collections.abc import Callable

import pytest

from sfm_core.testing.contracts import EmbedderContract
from sfm_embedder_local.minilm import MiniLmEmbedder
from sfm_embedder_local.static import StaticEmbedder


class TestStaticEmbedder(EmbedderContract):
    shared = False

    @pytest.fixture
    def make(self) -> Callable[[], StaticEmbedder]:
        return StaticEmbedder


class TestMiniLmEmbedder(EmbedderContract):
    shared = False

    @pytest.fixture
    def make(self) -> Callable[[], MiniLmEmbedder]:
        return MiniLmEmbedder
