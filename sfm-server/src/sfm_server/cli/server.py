"""The server of one process, which can be told to stop before it has started."""

from __future__ import annotations

from socket import socket

import uvicorn


class StoppableServer(uvicorn.Server):
    """A server that does not go on with its start once a signal tells it to stop.

    The signal then has its usual effect, as at the end of one that has served.
    """

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start the application and listen, unless told to stop before.

        Args:
            sockets: Where to listen.

        Raises:
            SystemExit: The application could not start.
        """
        if self.should_exit:
            return
        try:
            await super().startup(sockets)
        except SystemExit:
            if not self.should_exit:
                raise
