"""The embedder that asks a service, behind a network that fails in every way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from openai_service import DIMENSION, PatientClock, Service

from sfm_core.testing.contracts import EmbedderOutageContract
from sfm_embedder_local.openai import OpenAiEmbedder
from sfm_embedder_local.settings import OpenAiSettings


class TestOpenAiEmbedderInOutages(EmbedderOutageContract):
    deadline = timedelta(seconds=30)

    @pytest.fixture
    def server_url(self, service: Service) -> str:
        return service.url

    @pytest.fixture
    def connect(self) -> Callable[[str], OpenAiEmbedder]:
        def make(url: str) -> OpenAiEmbedder:
            timeout = timedelta(seconds=2)
            settings = OpenAiSettings(
                endpoint=url, model="m", dimension=DIMENSION, timeout=timeout, revision="1"
            )
            return OpenAiEmbedder(settings, PatientClock())

        return make
