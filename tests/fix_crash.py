"""A process that writes until it is killed, again and again, and the record of what it said."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import cast

import pytest

from tests.crash_oracle import Operation, Result, SharedKeys, Slot, State, Task

CHILD = Path(__file__).parent / "crash" / "crash_child.py"
TASKS = 8
KEYS = 4
SHARED_KEYS = 3
PATIENCE = 120.0


class Mortal:
    """Starts lives on one data folder, kills them, and keeps the oracle of what they said."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.folder = folder
        self.tasks = [Task({State((Slot(),) * KEYS)}) for _ in range(TASKS)]
        self.shared = SharedKeys()
        self.acknowledged = 0
        self.in_the_middle = 0
        self._seed = seed
        self._lives = 0
        self._rest = b""
        self._chances = random.Random(seed)
        self._child = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # So that a life that a failed test leaves behind ends with it.
            start_new_session=True,
        )
        assert self._next(monotonic() + PATIENCE) == ["ready"]

    def live_and_die(self) -> None:
        """Run one life and kill it at a point that the seed decides."""
        self._lives += 1
        assert self._child.stdin
        order = {"life": self._lives, "seed": self._seed}
        self._child.stdin.write(json.dumps(order).encode() + b"\n")
        self._child.stdin.flush()
        said = self._next(monotonic() + PATIENCE)
        assert said is not None
        word, process = said
        assert word == "pid"
        assert isinstance(process, int)
        self._listen(process)
        for task in self.tasks:
            self.in_the_middle += task.pending is not None
            task.dies()

    def close(self) -> None:
        """End the program that starts lives, and the life that it may have started."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        with self._child:
            self._child.wait(PATIENCE)

    def _listen(self, process: int) -> None:
        """Hear what a life says until it is dead; kill it when its time has come."""
        # Some die while they open the file, most after a number of operations.
        while_opening = self._chances.random() < 0.15
        left = 0 if while_opening else self._chances.randint(1, 80)
        delay = self._chances.uniform(0, 0.03 if while_opening else 0.004)
        deadline = monotonic() + (PATIENCE if left else delay)
        killed = False
        while True:
            said = self._next(deadline)
            if said is None:
                assert not killed, "a killed process does not end"
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                killed, deadline = True, monotonic() + PATIENCE
            elif said[0] == "end":
                assert said[1] == signal.SIGKILL, f"life {self._lives} ended by itself: {said}"
                return
            elif self._note(said):
                left -= 1
                if left == 0:
                    deadline = monotonic() + delay

    def _note(self, said: list[object]) -> bool:
        """Tell the oracle, and return whether it was an acknowledgement."""
        word, number, content = said
        assert isinstance(number, int)
        task = self.tasks[number]
        if word == "try":
            task.tries(_operation(content))
            if task.pending and task.pending.name == "share":
                self.shared.tries(task.pending)
            return False
        self.acknowledged += 1
        if task.pending and task.pending.name == "share":
            assert isinstance(content, int)
            self.shared.hears(task.pending, content)
            task.pending = None
        else:
            task.hears(cast("Result", content))
        return True

    def _next(self, deadline: float) -> list[object] | None:
        """Return the next line, or `None` if the deadline comes first."""
        assert self._child.stdout
        while b"\n" not in self._rest:
            left = deadline - monotonic()
            if left <= 0 or not select.select([self._child.stdout], [], [], left)[0]:
                return None
            more = os.read(self._child.stdout.fileno(), 65536)
            assert more, "the program that starts lives has ended"
            self._rest += more
        line, self._rest = self._rest.split(b"\n", 1)
        said: list[object] = json.loads(line)
        return said


def _operation(content: object) -> Operation:
    told = cast("dict[str, object]", content)
    keys = tuple(cast("list[int]", told["keys"]))
    return Operation(name=str(told["name"]), keys=keys, mark=str(told["mark"]))


@pytest.fixture
def mortal(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Mortal]:
    seed = cast("int", pytestconfig.getoption("--crash-seed"))
    one = Mortal(tmp_path / "data", seed=seed)
    yield one
    one.close()
