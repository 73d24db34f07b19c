"""The embedder port: text to vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sfm_core.protocols.lifecycle import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What decides whether two vectors can be compared.

    Attributes:
        model: Name of the model.
        revision: Which edition of its weights and of the code around them.
        dimension: Length of its vectors.
    """

    model: str
    revision: str
    dimension: int

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for this fingerprint in names."""
        text = f"{self.model}\0{self.revision}\0{self.dimension}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Embedder(Backend, Protocol):
    """Turns text into vectors that are near each other when the meanings are."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What its vectors are. Known before the model is loaded; never changes."""
        ...

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed many texts.

        Args:
            texts: At most `MAX_BATCH`, any length, empty ones too.

        Returns:
            float32, shape (len(texts), dimension), every row of L2 norm 1.

        Raises:
            LimitExceededError: More than `MAX_BATCH` texts.
            BackendUnavailableError: The model or its service was not reached.
            CorruptDataError: The service answered with something else, or the
                weights are not the expected ones.

        Guarantees:
            The same text gives the same vector, alone or in any batch. Never
            blocks the event loop. A text longer than the model reads is cut.
        """
        ...
