"""What the in-process backends have in common."""

from __future__ import annotations

import asyncio

from sfm_core.porting import Port


class InProcessBackend(Port):
    """Opening and closing, and a turn for others in each call."""

    def __init__(self, scheme: str = "memory") -> None:
        super().__init__(scheme=scheme, shared=False)

    async def ping(self) -> None:
        """Prove that it is open.

        Raises:
            ClosedError: It is not.
        """
        await self._turn()

    async def _turn(self) -> None:
        # Other tasks run here as they would during a round trip, so that a race
        # that a remote backend would show is not hidden by this one. What follows
        # is free of awaits and so one step to everybody else.
        await asyncio.sleep(0)
        self._check_open()
