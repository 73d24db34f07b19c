"""A walk through the README on the stack of the compose file, as a user sees it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from tests.compose_stack import Answer, Stack
from tests.readme_blocks import run_block, walk

PATIENCE_SECONDS = 120.0
QUESTION = "what was the matter with the kettle?"
KETTLE = {"text": "The kettle in the kitchen is broken."}
NEWS = {"text": "A new kettle is on its way."}
BOB = {"text": "Bob repairs all kinds of things."}
HANDLED = "sfm_consumer_handled_total"
MANY = 40

pytestmark = pytest.mark.timeout(900)


class User:
    """Somebody who works with `sfm` and HTTP in a namespace of their own."""

    def __init__(self, stack: Stack, namespace: str) -> None:
        self.stack = stack
        self.namespace = namespace

    def sfm(self, command: str, *arguments: str) -> Answer:
        return self.stack.sfm(command, "--namespace", self.namespace, *arguments)

    def begin(self) -> None:
        """Store two memories and link them."""
        self.sfm("store", KETTLE["text"], "--coord", "1,1")
        self.sfm("store", BOB["text"], "--coord", "1,2", "--type", "semantic")
        self.sfm("link", "1,1", "1,2", "--type", "mended_by")

    def store_many(self, file: Path, number: int) -> None:
        """Store notes from a file."""
        notes = [{"coord": f"9,{n}", "payload": {"text": f"note {n}"}} for n in range(number)]
        file.write_text("".join(json.dumps(note) + "\n" for note in notes))
        self.sfm("store-bulk", str(file))

    def finds_everything(self) -> None:
        """Assert that what they began with is recalled, linked and counted."""
        assert self.recalled(QUESTION) == [KETTLE]
        assert self.sfm("path", "1,1", "1,2")["path"] == ["1,1", "1,2"]
        assert [pair[0] for pair in self.sfm("neighbors", "1,1")["neighbors"]] == ["1,2"]
        assert self.sfm("stats")["semantic"] == 1

    def recalled(self, question: str) -> list[object]:
        asked = {"namespace": self.namespace, "query": question, "top_k": 1}
        with self.stack.client as client:
            found: list[object] = client.post("/recall", json=asked).json()["matches"]
        return found

    def exported(self) -> list[object]:
        """Return what an export of all namespaces holds, without what reading changes."""
        with self.stack.client as client:
            lines = client.get("/export_memories").text.splitlines()
        kept = [line for line in map(json.loads, lines) if line["kind"] in {"memory", "link"}]
        for line in kept:
            line.pop("access_count", None)
            line.pop("last_accessed_at", None)
        return kept


def change_mode(stack: Stack, mode: str) -> None:
    """Do what `docker compose up -d` does after `./configure.sh`: all containers are made anew."""
    command = [str(stack.checkout / "configure.sh"), "--mode", mode, "--non-interactive"]
    subprocess.run(command, check=True, capture_output=True)
    stack.down()
    stack.up()


def settled(condition: Callable[[], bool]) -> None:
    """Wait until something is so in a process, which can only be asked for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        Event().wait(0.1)


def test_the_commands_of_the_readme_do_what_it_says(stack: Stack, tmp_path: Path) -> None:
    def run(code: str) -> str:
        return run_block(
            code,
            address=stack.url.removeprefix("http://"),
            programs=stack.programs,
            folder=tmp_path,
            environ={"PATH": "/usr/bin:/bin"},
        )

    walk(run)


def test_what_was_exported_is_there_again_after_it_was_deleted_and_imported(
    stack: Stack, tmp_path: Path
) -> None:
    user, file = User(stack, "exporting"), tmp_path / "backup.jsonl"
    user.begin()

    stack.sfm("export", str(file), "--only", "exporting")
    user.sfm("delete-many", "1,1", "1,2")
    assert user.recalled(QUESTION) == []
    stack.sfm("import", str(file))

    user.finds_everything()


def test_a_restart_of_api_and_consumer_goes_on_where_they_were(
    stack: Stack, tmp_path: Path
) -> None:
    user, earlier = User(stack, "restarting"), stack.figure(HANDLED)
    user.begin()
    user.store_many(tmp_path / "notes.jsonl", MANY)
    settled(lambda: stack.figure(HANDLED) >= earlier + MANY)

    stack.restart()

    user.finds_everything()
    user.sfm("store", NEWS["text"], "--coord", "1,3")
    settled(lambda: user.recalled("new kettle") == [NEWS])
    settled(lambda: stack.figure(HANDLED) >= 1)
    # A consumer that began again would be given all of them once more.
    assert stack.figure(HANDLED) < MANY


def test_another_mode_brings_everything_along_and_so_does_the_way_back(stack: Stack) -> None:
    user = User(stack, "moving")
    user.begin()
    before = user.exported()

    change_mode(stack, "evented_enterprise")

    user.finds_everything()
    assert user.exported() == before
    user.sfm("store", NEWS["text"], "--coord", "1,3")
    changed = user.exported()

    change_mode(stack, "development")

    assert user.exported() == changed
    settled(lambda: user.recalled("new kettle") == [NEWS])
