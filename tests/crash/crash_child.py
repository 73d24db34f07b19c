"""Lives that end by SIGKILL: the program that the crash tests run.

    python crash_child.py DATA_FOLDER

Each line on standard input, `{"life": n, "seed": s}`, starts one life: a fork of
this process that opens the embedded engine on the folder and works on it from
eight tasks until it is killed. So a life costs no interpreter start.

Standard output has one JSON array per line, in the order things happened:
`["pid", n]`; `["try", task, operation]` before and `["done", task, result]`
after each operation; `["end", signal]`, negative for an exit status.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import traceback
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TypeAlias

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import NotFoundError, SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import NewMemory
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext, Registry
from sfm_core.settings import EngineSettings, Slots

TASKS = 8
KEYS = 4
SHARED_KEYS = 3
SHARED_TASK = 100
SLOTS = Slots(kv="sqlite:", vector="sqlite:", graph="sqlite:", cache="memory:", embedder="hashing:")

Operation: TypeAlias = dict[str, object]
Result: TypeAlias = "int | bool | str | list[int]"


def namespace_of(task: int) -> str:
    """Return where a task works."""
    return "shared" if task == SHARED_TASK else f"crash-{task % 2}"


def coordinate_of(task: int, key: int) -> Coordinate:
    """Return where a key of a task lives."""
    return Coordinate((float(task), float(key)))


def memory_of(task: int, key: int, mark: str) -> NewMemory:
    """Return a memory that is known again by its mark; every other task's are turns."""
    payload = {"mark": mark, "text": f"the {mark} of task {task} is kept under key {key}"}
    if task % 2:
        payload["speaker"] = "Ada" if key % 2 else "Ben"
    return NewMemory(coordinate=coordinate_of(task, key), payload=payload)


class Life:
    """One life of a process."""

    def __init__(self, engine: MemoryEngine, life: int, seed: int) -> None:
        """Work on `engine`; `life` and `seed` decide what is done."""
        self._engine = engine
        self._life = life
        self._seed = seed

    async def work(self, task: int) -> None:
        """Do one operation after the other, telling each before and after."""
        choices = random.Random(f"{self._seed}/{self._life}/{task}")
        for number in count():
            operation = choose(choices, f"{self._life}.{task}.{number}")
            say("try", task, operation)
            say("done", task, await self._perform(task, operation))

    async def _perform(self, task: int, operation: Operation) -> Result:
        perform = getattr(self, f"_{operation['name']}")
        try:
            result: Result = await perform(task, operation["keys"], operation["mark"])
        except NotFoundError:
            return "missing"
        return result

    async def _store(self, task: int, keys: list[int], mark: str) -> int:
        memory = memory_of(task, keys[0], mark)
        return (await self._engine.store(namespace_of(task), memory)).version

    async def _share(self, _task: int, keys: list[int], mark: str) -> int:
        return await self._store(SHARED_TASK, keys, mark)

    async def _store_many(self, task: int, keys: list[int], mark: str) -> list[int]:
        memories = [memory_of(task, key, mark) for key in keys]
        versions: list[int] = []
        for result in await self._engine.store_many(namespace_of(task), memories):
            if isinstance(result, SfmError):
                raise result
            versions.append(result.version)
        return versions

    async def _delete(self, task: int, keys: list[int], _mark: str) -> bool:
        return bool(await self._engine.delete(namespace_of(task), coordinate_of(task, keys[0])))

    async def _weigh(self, task: int, keys: list[int], _mark: str) -> int:
        stored = await self._engine.set_importance(
            namespace_of(task), coordinate_of(task, keys[0]), 0.9
        )
        return stored.version

    async def _link(self, task: int, keys: list[int], _mark: str) -> str:
        ends = [coordinate_of(task, key) for key in keys]
        await self._engine.link(namespace_of(task), *ends, type="next", weight=0.25)
        return "linked"

    async def _unlink(self, task: int, keys: list[int], _mark: str) -> bool:
        ends = [coordinate_of(task, key) for key in keys]
        return bool(await self._engine.unlink(namespace_of(task), *ends, type="next"))


def choose(choices: random.Random, mark: str) -> Operation:
    """Choose what to do next."""
    name = choices.choices(
        ("store", "store_many", "delete", "weigh", "link", "unlink", "share"),
        (40, 8, 12, 6, 20, 5, 9),
    )[0]
    wanted = {"store_many": KEYS - 1, "link": 2, "unlink": 2}.get(name, 1)
    keys = choices.sample(range(SHARED_KEYS if name == "share" else KEYS), wanted)
    return {"name": name, "keys": keys, "mark": mark}


def say(*words: object) -> None:
    """Write a line at once, so that it survives this process."""
    os.write(1, json.dumps(words).encode() + b"\n")


async def live(folder: Path, registry: Registry, life: int, seed: int) -> None:
    """Open the engine and work until killed."""
    settings = EngineSettings(sweep_interval=timedelta(milliseconds=50))
    async with (
        open_engine(
            slots=SLOTS,
            registry=registry,
            context=BackendContext(data_folder=folder),
            settings=settings,
        ) as engine,
        asyncio.TaskGroup() as group,
    ):
        alive = Life(engine, life, seed)
        for task in range(TASKS):
            group.create_task(alive.work(task))


def main() -> None:
    """Start a life for each line of standard input, one after the other."""
    folder = Path(sys.argv[1])
    registry = load_plugins().registry
    say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        process = os.fork()
        if process == 0:
            say("pid", os.getpid())
            try:
                asyncio.run(live(folder, registry, order["life"], order["seed"]))
            except BaseException:  # noqa: BLE001 - all must be told, and nothing may leave the fork
                traceback.print_exc()
            os._exit(1)
        _, status = os.waitpid(process, 0)
        say("end", -os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
