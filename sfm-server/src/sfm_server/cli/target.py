"""Which memory a command works on: a data folder, or a server."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import click

from sfm_core.errors import ConfigurationError
from sfm_server.clients.protocol import MemoryClient
from sfm_server.loading import LoadedSettings, load_settings

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the options common to all commands say.

    Attributes:
        data: The data folder, if it was given.
        url: The server, if it was given.
        token: The token, if it was given.
        namespace: The namespace, if it was given.
        as_json: Whether to print JSON.
    """

    data: str | None
    url: str | None
    token: str | None
    namespace: str | None
    as_json: bool

    def settings(self, **overrides: str | None) -> LoadedSettings:
        """Read the settings, with what the command line says.

        Args:
            overrides: More values from the command line, by variable.

        Returns:
            The settings.

        Raises:
            ConfigurationError: A setting cannot be used.
        """
        given = {
            "SFM_DATA_FOLDER": self.data,
            "SOMA_NAMESPACE": self.namespace,
            "SOMA_API_TOKEN": self.token,
            **overrides,
        }
        return load_settings(overrides={name: value for name, value in given.items() if value})

    @asynccontextmanager
    async def open(self, *, decides: bool = False) -> AsyncGenerator[MemoryClient]:
        """Open the memory.

        Args:
            decides: Whether a local memory goes over to the embedder of the
                settings, where another one serves.

        Yields:
            A client of it.

        Raises:
            ConfigurationError: Options contradict one another, or a setting cannot be used.
            BackendError: A backend cannot be opened.
        """
        if self.url is None:
            async with self._open_folder(decides=decides) as client:
                yield client
            return
        if self.data is not None:
            raise ConfigurationError(
                "--data and --url were both given.",
                setting="--url",
                remedy="A command works on a data folder or on a server: leave one out.",
            )
        async with self._open_server(self.url) as client:
            yield client

    def run(
        self, work: Callable[[MemoryClient], Awaitable[ResultT]], *, decides: bool = False
    ) -> ResultT:
        """Open the memory, do something with it, and close it.

        Args:
            work: What to do.
            decides: Whether a local memory goes over to the embedder of the
                settings, where another one serves.

        Returns:
            What that returned.
        """

        async def opened() -> ResultT:
            async with self.open(decides=decides) as client:
                return await work(client)

        return asyncio.run(opened())

    @asynccontextmanager
    async def _open_folder(self, *, decides: bool) -> AsyncGenerator[MemoryClient]:
        # Each kind of client is imported only where it is used: commands are to start fast.
        from sfm_server.assembly import open_selection  # noqa: PLC0415
        from sfm_server.cli.folders import refuse_other_memories  # noqa: PLC0415
        from sfm_server.clients.local import LocalClient  # noqa: PLC0415
        from sfm_server.selection import select  # noqa: PLC0415

        loaded = self.settings()
        selection = select(loaded.settings, options=loaded.options)
        selection.require_backends()
        if self.data is not None:
            await refuse_other_memories(selection)
        async with open_selection(selection, decides=decides) as memory:
            yield LocalClient(memory.engine, namespace=loaded.settings.namespace)

    @asynccontextmanager
    async def _open_server(self, url: str) -> AsyncGenerator[MemoryClient]:
        from sfm_server.clients.http import HttpClient, open_http  # noqa: PLC0415

        token = self.settings().settings.api_token
        async with open_http(
            url, token=None if token is None else token.get_secret_value()
        ) as http:
            yield HttpClient(http, namespace=self.namespace)


def with_target(command: Callable[..., ResultT]) -> Callable[..., ResultT]:
    """Give a command the options that say which memory it works on.

    Args:
        command: Takes the target first.

    Returns:
        What click makes a command of.
    """

    @click.option("--data", metavar="FOLDER", help="Data folder to work on.")
    @click.option("--url", metavar="URL", help="Running server to work on.")
    @click.option("--token", metavar="TOKEN", help="Token of the server.")
    @click.option("--namespace", "-n", metavar="NAME", help="Namespace; default: the setting's.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @functools.wraps(command)
    def wrapper(
        data: str | None,
        url: str | None,
        token: str | None,
        namespace: str | None,
        as_json: bool,  # noqa: FBT001 - click calls it by name
        **rest: object,
    ) -> ResultT:
        target = Target(data=data, url=url, token=token, namespace=namespace, as_json=as_json)
        return command(target, **rest)

    return wrapper
