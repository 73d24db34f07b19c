"""An engine that is killed while collections are switched: the program of its test.

    python switch_child.py DATA_FOLDER EMBEDDER NUMBER
    python switch_child.py DATA_FOLDER EMBEDDER settle

Opens the embedded engine with an embedder, and stores memories from NUMBER on
until it is killed; each is told on standard output once it is stored. With
`settle` it stores nothing, waits until the collection of that embedder serves,
and says as JSON what it finds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from itertools import count
from pathlib import Path

from sfm_core.engine import indexes
from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import NewMemory
from sfm_core.model.query import RecallQuery
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import EngineSettings, Slots

SPACE = "switched"
NEAR = 0.99
SETTINGS = EngineSettings(
    sweep_interval=timedelta(milliseconds=50), lease=timedelta(milliseconds=500)
)


def text_of(number: int) -> str:
    """Return words that no other memory has."""
    return f"word{number} was said"


async def write(engine: MemoryEngine, first: int) -> None:
    """Store one memory after the other, and replace or delete one now and then."""
    for number in count(first):
        where = Coordinate((float(number),))
        await engine.store(SPACE, NewMemory(coordinate=where, payload={"text": text_of(number)}))
        if number % 10 == 3:
            await engine.delete(SPACE, Coordinate((float(number - 1),)))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


async def settle(engine: MemoryEngine, embedder: str) -> dict[str, object]:
    """Wait until everything is built and followed, and tell how it is then."""
    while engine.rebuilding or (await engine.health()).outbox_depth:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.05)
    states = await engine.collections()
    found: list[int] = []
    while page := await engine.range(SPACE, _after(found), Coordinate((1e6,)), limit=500):
        numbers = [int(place.components[0]) for place in page]
        asked = [RecallQuery(text=text_of(number), top_k=1) for number in numbers]
        first = [answer[0] for answer in await engine.recall_many(SPACE, asked)]
        assert [recalled.memory.coordinate for recalled in first] == page
        # A text is as near to itself as can be, unless the vectors are of two embedders.
        assert min(recalled.parts["dense"] for recalled in first) > NEAR
        found += numbers
    return {
        "serving": [state.embedder for state in states if state.role == "serving"] == [embedder],
        "complete": all(state.complete for state in states if state.role == "serving"),
        "consistent": (await engine.check()).consistent,
        "found": found,
    }


def _after(found: list[int]) -> Coordinate:
    return Coordinate((found[-1] + 1.0 if found else 0.0,))


async def main(folder: Path, embedder: str, task: str) -> None:
    """Open the engine and do what was asked."""
    # A switch that takes at least ten seconds would hardly ever be cut short at its end.
    indexes.HORIZON = timedelta(milliseconds=300)
    indexes.SILENCE = timedelta(milliseconds=700)
    async with open_engine(
        slots=Slots(
            kv="sqlite:", vector="sqlite:", graph="sqlite:", cache="memory:", embedder=embedder
        ),
        registry=load_plugins().registry,
        context=BackendContext(data_folder=folder),
        settings=SETTINGS,
    ) as engine:
        if task == "settle":
            sys.stdout.write(json.dumps(await settle(engine, embedder)))
        else:
            await write(engine, int(task))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
