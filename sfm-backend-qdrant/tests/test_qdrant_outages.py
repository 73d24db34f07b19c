"""Servers that are not there, do not answer, or refuse."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from sfm_backend_qdrant._errors import AlreadyExistsError, RefusedError, translated
from sfm_backend_qdrant.plugin import create_vector
from sfm_backend_qdrant.settings import QdrantSettings
from sfm_core.errors import (
    BackendUnavailableError,
    ConfigurationError,
    DeadlineExceededError,
    StorageFullError,
)
from sfm_core.registry import BackendContext

SETTINGS = QdrantSettings(scheme="qdrant", host="db")


@pytest.fixture
def dead_port() -> Iterator[int]:
    # Bound but not listening: nobody else gets the port, and nobody answers on it.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest_asyncio.fixture
async def silent_port() -> AsyncIterator[int]:
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in held:
            writer.close()


@pytest.mark.parametrize("grpc", ["auto", "always", "never"])
async def test_a_server_that_is_not_there_is_unavailable(
    tmp_path: Path, dead_port: int, grpc: str
) -> None:
    url = f"qdrant://127.0.0.1:{dead_port}?grpc={grpc}&grpc_port={dead_port}&timeout_seconds=2"
    with pytest.raises(BackendUnavailableError, match=str(dead_port)):
        async with create_vector(url, BackendContext(data_folder=tmp_path)):
            pass


@pytest.mark.parametrize("grpc", ["always", "never"])
async def test_a_server_that_never_answers_is_given_up_in_time(
    tmp_path: Path, silent_port: int, grpc: str
) -> None:
    url = f"qdrant://127.0.0.1:{silent_port}?grpc={grpc}&grpc_port={silent_port}&timeout_seconds=1"
    async with asyncio.timeout(5):
        with pytest.raises(DeadlineExceededError, match="within 1 s"):
            async with create_vector(url, BackendContext(data_folder=tmp_path)):
                pass


# The client forgets the lock file that it opened and could not lock.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    first, second = (
        create_vector("qdrant+local:points", BackendContext(data_folder=tmp_path)) for _ in range(2)
    )
    async with first:
        with pytest.raises(ConfigurationError, match="in use"):
            async with second:
                pass
    async with second:
        await second.ping()


@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (400, "Wrong input", RefusedError, "Wrong input"),
        (401, "", ConfigurationError, "QDRANT_API_KEY"),
        (403, "Forbidden", ConfigurationError, "QDRANT_API_KEY"),
        (403, "Index required but not found. Help: Create one.", RefusedError, "Index required"),
        (404, "Not found: Collection `x`", ConfigurationError, "ensure"),
        (408, "", DeadlineExceededError, "10 s"),
        (409, "Conflict", AlreadyExistsError, "Conflict"),
        (400, "Collection `x` already exists!", AlreadyExistsError, "exists"),
        (429, "", BackendUnavailableError, "too many"),
        (500, "No space left on device", StorageFullError, "room"),
        (503, "starting", BackendUnavailableError, "starting"),
    ],
)
def test_what_a_server_answers_becomes_our_error(
    status: int, body: str, expected: type[Exception], words: str
) -> None:
    with pytest.raises(expected, match=words), translated(SETTINGS):
        raise UnexpectedResponse(status, "", body.encode(), httpx.Headers())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ResourceExhaustedResponse("slow down", 3), BackendUnavailableError),
        (ResponseHandlingException(httpx.ReadTimeout("late")), DeadlineExceededError),
        (ResponseHandlingException(httpx.ConnectError("refused")), BackendUnavailableError),
        (
            ResponseHandlingException(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]")),
            ConfigurationError,
        ),
        (ResponseHandlingException(ValueError("no JSON")), ConfigurationError),
    ],
)
def test_what_the_client_raises_becomes_our_error(
    error: Exception, expected: type[Exception]
) -> None:
    with pytest.raises(expected), translated(SETTINGS):
        raise error
