"""A process that publishes the events of a truth and may die while it does: a test's program.

    python relay_child.py KV_URL KAFKA_URL [CALL MOMENT]

Kills itself with SIGKILL in the CALL-th publication, or the next that does not
fail: `before` anything is sent, `halfway` through its events, or `after` the
broker has acknowledged them all and nobody has taken note. Without these it
publishes until it is ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from sfm_core.engine.assembly import open_engine
from sfm_core.hookspecs import hookimpl
from sfm_core.model.events import Event
from sfm_core.plugins import load_plugins
from sfm_core.protocols.events import EventSink
from sfm_core.registry import BackendContext, Register
from sfm_core.settings import EngineSettings, Slots
from sfm_eventing_kafka.sink import KafkaEventSink
from sfm_eventing_kafka.variables import choose

# So that another one takes over soon.
SETTINGS: Final = EngineSettings(
    lease=timedelta(seconds=1), sweep_interval=timedelta(milliseconds=200)
)


class MortalSink(KafkaEventSink):
    """A sink whose process dies in one of its publications."""

    calls_left = 0
    moment = ""

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish events, or die trying."""
        type(self).calls_left -= 1
        if not self.moment or self.calls_left > 0:
            await super().publish(events)
            return
        if self.moment == "halfway":
            await super().publish(events[: len(events) // 2])
        elif self.moment == "after":
            await super().publish(events)
        os.kill(os.getpid(), signal.SIGKILL)


class MortalPlugin:
    """Offers the sink that may die."""

    @hookimpl
    def sfm_register_event_sinks(self, register: Register[EventSink]) -> None:
        """Offer it as `mortal:`, followed by the URL of the topic."""
        register("mortal", _sink, summary="Kafka, until its process dies.")


def _sink(url: str, context: BackendContext) -> MortalSink:
    return MortalSink(choose(url.removeprefix("mortal:"), context))


async def main(kv: str, kafka: str, call: int, moment: str) -> None:
    """Open an engine, which publishes by itself."""
    MortalSink.calls_left, MortalSink.moment = call, moment
    async with open_engine(
        slots=Slots(
            kv=kv,
            vector="memory:",
            graph="memory:",
            cache="memory:",
            embedder="hashing:",
            events=f"mortal:{kafka}",
        ),
        registry=load_plugins(extra={"mortal": MortalPlugin()}).registry,
        context=BackendContext(data_folder=Path("unused")),
        settings=SETTINGS,
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    given = [*sys.argv[3:], "0", ""]
    asyncio.run(main(sys.argv[1], sys.argv[2], int(given[0]), given[1]))
