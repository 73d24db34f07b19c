"""A patient embedder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfm_core.clock import Clock
from sfm_core.protocols.embedder import Embedder, Fingerprint
from sfm_core.resilience.policy import Policy
from sfm_core.resilience.retry import Repetition
from sfm_core.resilience.wrapper import ResilientBackend

EMBEDDER_POLICY: Final = Policy(deadline=timedelta(minutes=2))
"""A batch of thousands of texts takes a local model longer than any store may take."""


class ResilientEmbedder(ResilientBackend[Embedder]):
    """Repeats embedding, because it changes nothing."""

    def __init__(
        self, inner: Embedder, *, policy: Policy = EMBEDDER_POLICY, clock: Clock | None = None
    ) -> None:
        """Wrap an embedder that is not open yet.

        Args:
            inner: The embedder; it is opened and closed with the wrapper.
            policy: How patient to be.
            clock: Source of time, for pauses and for the breaker.
        """
        super().__init__(inner, policy=policy, clock=clock)

    @property
    def fingerprint(self) -> Fingerprint:
        """What its vectors are."""
        return self.inner.fingerprint

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; repeated, because it changes nothing."""
        return await self.guard.call(lambda: self.inner.embed(texts), Repetition.ALWAYS)
