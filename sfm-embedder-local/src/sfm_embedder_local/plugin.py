"""Registers the embedders."""

from __future__ import annotations

from sfm_core.hookspecs import hookimpl
from sfm_core.protocols.embedder import Embedder
from sfm_core.registry import LOCAL, SECURE, BackendContext, Register
from sfm_embedder_local.settings import API_KEY_SETTING, openai_settings, refuse_options

SFM_API_VERSION = 1

_LOCAL = frozenset({LOCAL})
_STATIC_SUMMARY = "Token vectors added up; offline, 256 dimensions, fast."
_MINILM_SUMMARY = "all-MiniLM-L6-v2 in int8; offline, 384 dimensions."
_OPENAI_SUMMARY = "An HTTP endpoint that speaks the OpenAI embeddings API."


@hookimpl
def sfm_register_embedders(register: Register[Embedder]) -> None:
    """Offer `static:`, `minilm:` and `openai:` (also `openai+http:`, `openai+https:`)."""
    register(
        "static",
        _static,
        summary=_STATIC_SUMMARY,
        capabilities=_LOCAL,
    )
    register(
        "minilm",
        _minilm,
        summary=_MINILM_SUMMARY,
        capabilities=_LOCAL,
    )
    for scheme in ("openai", "openai+http", "openai+https"):
        register(
            scheme,
            _openai,
            summary=_OPENAI_SUMMARY,
            capabilities=frozenset({SECURE}),
            options={API_KEY_SETTING: "The key that the embedder `openai:` sends."},
        )


# Each factory imports its embedder itself: their libraries take up to a quarter of a second to
# import, and only one embedder is chosen.


def _static(url: str, context: BackendContext) -> Embedder:  # noqa: ARG001 - a factory's signature
    from sfm_embedder_local.static import StaticEmbedder  # noqa: PLC0415

    refuse_options(url)
    return StaticEmbedder()


def _minilm(url: str, context: BackendContext) -> Embedder:  # noqa: ARG001 - a factory's signature
    from sfm_embedder_local.minilm import MiniLmEmbedder  # noqa: PLC0415

    refuse_options(url)
    return MiniLmEmbedder()


def _openai(url: str, context: BackendContext) -> Embedder:
    from sfm_embedder_local.openai import OpenAiEmbedder  # noqa: PLC0415

    return OpenAiEmbedder(openai_settings(url, context), context.clock)
