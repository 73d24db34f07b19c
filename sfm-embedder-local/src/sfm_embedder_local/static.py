"""`static:`: WordLlama's token vectors, added up. Fast enough to embed at every write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from sfm_core.protocols.embedder import Fingerprint
from sfm_embedder_local._local import LocalEmbedder, Model, unit_rows
from sfm_embedder_local._weights import ModelFile

DIMENSION = 256
MAX_CHARACTERS = 20_000
"""A text is read up to here; what follows has no influence on its vector."""

_DISTRIBUTION = "wordllama==0.4.0.post1"

_VECTORS = ModelFile(
    distribution=_DISTRIBUTION,
    package="wordllama",
    path="weights/l2_supercat_256.safetensors",
    size_bytes=16_384_096,
    sha256="64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
    backend="static",
)
_TOKENIZER = ModelFile(
    distribution=_DISTRIBUTION,
    package="wordllama",
    path="tokenizers/l2_supercat_tokenizer_config.json",
    size_bytes=1_842_796,
    sha256="93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
    backend="static",
)


class StaticEmbedder(LocalEmbedder):
    """Adds up one vector per token: no word order, thousands of texts a second."""

    scheme: str = "static"

    _files = (_VECTORS, _TOKENIZER)
    # Adding up holds the interpreter, half a millisecond for so many texts.
    _slice = 32

    @property
    def fingerprint(self) -> Fingerprint:
        """What its vectors are. Known before the model is loaded; never changes."""
        # The revision covers what `_StaticModel` does with the weights, not only the weights.
        return Fingerprint(
            model="wordllama-l2-supercat", revision="0.4.0.post1-1", dimension=DIMENSION
        )

    def _load(self) -> Model:
        return _StaticModel(_VECTORS.read(), _TOKENIZER.read())


class _StaticModel:
    """Token vectors with their common part taken away, and a tokenizer.

    All token vectors lean to one side. Without that, two texts with nothing
    in common would be near each other, and long texts near everything.
    """

    def __init__(self, vectors: bytes, tokenizer: bytes) -> None:
        # A safetensors file: length of the header, header, then this file's only tensor.
        offset = 8 + int.from_bytes(vectors[:8], "little")
        tokens = np.frombuffer(vectors, dtype=np.float16, offset=offset).reshape(-1, DIMENSION)
        self._tokens = tokens.astype(np.float32)
        self._tokens -= self._tokens.mean(axis=0)
        self._tokenizer = _make_tokenizer(tokenizer)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised row per text; blocks while it computes."""
        vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        # Nobody asks where in its text a token stands; finding out takes a third of the time.
        encodings = self._tokenizer.encode_batch_fast(
            [_readable(text) for text in texts], add_special_tokens=False
        )
        for row, encoding in enumerate(encodings):
            if ids := encoding.ids:
                # One text at a time: sums over a padded batch would depend on its longest text.
                vectors[row] = self._tokens[ids].sum(axis=0)
        return unit_rows(vectors)


def _make_tokenizer(content: bytes) -> Tokenizer:
    tokenizer = Tokenizer.from_buffer(content)
    # It remembers words, and to this model a whole text is one word: each thread would keep
    # 10,000 texts, at some kilobytes, for one that comes again and is hardly faster then.
    resize: Callable[[int], None] | None = getattr(tokenizer.model, "_resize_cache", None)
    if resize is not None:
        resize(0)
    return tokenizer


def _readable(text: str) -> str:
    # Half a surrogate pair is no character, and the tokenizer would refuse the whole text.
    readable = text[:MAX_CHARACTERS].encode(errors="replace").decode()
    # The vocabulary has its vectors for lower case; a capital begins another token.
    return readable.lower().strip()
