"""A real Qdrant server, where there is one.

No package index has the server, so it cannot be started here: a run that
should test it names it in the environment. Collections of the tests begin with
a prefix of their own and are removed afterwards; others are not touched.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from sfm_backend_qdrant.plugin import create_vector
from sfm_core.registry import BackendContext

URL_VARIABLE = "SFM_TEST_QDRANT_URL"
_OPTIONS = ("QDRANT_API_KEY",)


class Server:
    """A server to test against.

    Attributes:
        context: What stores are made with.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._prefix = f"sfm-test-{uuid4().hex}-"
        values = os.environ  # noqa: TID251 - the one place where the tests are told of a server
        options = {name: values[name] for name in _OPTIONS if name in values}
        self.context = BackendContext(data_folder=folder, options=options)

    def url(self) -> str:
        """Return a URL under which there is no collection yet."""
        return self._with_prefix(f"{self._prefix}{uuid4().hex}-")

    async def clean(self) -> None:
        """Remove every collection that was made here."""
        async with create_vector(self._with_prefix(self._prefix), self.context) as store:
            for collection in await store.collections():
                await store.drop(collection)

    def _with_prefix(self, prefix: str) -> str:
        return f"{self._url}{'&' if '?' in self._url else '?'}prefix={prefix}"


@pytest.fixture
def fast_folder() -> Iterator[Path]:
    """Return a folder in memory where there is one, for tests that are not about the disk.

    A new collection waits for the disk some hundred times.
    """
    shared_memory = Path("/dev/shm")  # noqa: S108 - the folder in it has a name that nobody else has
    with TemporaryDirectory(dir=shared_memory if shared_memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def qdrant_server(tmp_path: Path) -> Iterator[Server]:
    """Return the server that the environment names."""
    url = os.environ.get(URL_VARIABLE)  # noqa: TID251 - as above
    if not url:
        pytest.skip(f"NOT TESTED: a real Qdrant server. Name one in {URL_VARIABLE}.")
    server = Server(url, tmp_path)
    yield server
    asyncio.run(server.clean())
