"""Servers that are not there, do not answer, or refuse."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import httpx
import pytest
import pytest_asyncio
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from sfm_backend_qdrant._client import ClientQdrant
from sfm_backend_qdrant._connection import AnswerT, Ask
from sfm_backend_qdrant._encoding import stored_point
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
from sfm_core.testing.samples import axis, coordinate, point

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
    async with asyncio.timeout(30):
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
        (507, "Resident memory usage is at 91%", StorageFullError, "91%"),
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
        (ResourceExhaustedResponse("Disk usage is at 91%", 3), StorageFullError),
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


def test_how_long_a_server_wants_to_be_left_alone_is_told() -> None:
    with (
        pytest.raises(BackendUnavailableError, match="in 3 s"),
        translated(SETTINGS),
    ):
        raise ResourceExhaustedResponse("slow down", 3)


class Answering:
    """A connection to a server that has written something down and not yet applied it."""

    counts_by_namespace = True
    indexes_elements = True
    settings = SETTINGS

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def run(self, ask: Ask[AnswerT]) -> AnswerT:
        """Answer every write in the same way."""
        with translated(SETTINGS):
            return await ask(cast("AsyncQdrantClient", self))

    async def upsert(self, *_: object, **__: object) -> models.UpdateResult:
        """Answer."""
        return models.UpdateResult(operation_id=1, status=models.UpdateStatus.WAIT_TIMEOUT)

    delete = upsert


async def test_a_write_that_searches_may_not_see_yet_is_late() -> None:
    qdrant = ClientQdrant(Answering())
    with pytest.raises(DeadlineExceededError):
        await qdrant.delete("tests", ["a"])
    with pytest.raises(DeadlineExceededError):
        await qdrant.upsert("tests", [stored_point(point("n", coordinate(1.0), axis(0, 8)))])
