"""What is purged, or was encrypted with a key that is destroyed, is in no file of any store."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from sfm_server.cli.exits import Exit
from sfm_server.cli.main import run
from tests.raw_stores import RawStore, files_with, store_in

pytestmark = pytest.mark.long

WORDS = ("xylocarpous", "quomodocunquize")
# The truth, the vector store and the graph store, each kind of them once at least.
SETS = {
    "sqlite": ("sqlite", "sqlite", "sqlite"),
    "redis": ("redis", "sqlite", "redis"),
    "qdrant": ("sqlite", "qdrant+edge", "sqlite"),
    "postgresql": ("postgresql", "postgresql", "postgresql"),
}
EVERYWHERE = tuple(SETS)
WITH_FILES_OF_THEIR_OWN = ("sqlite", "redis", "qdrant")
DESTROY = ("keys", "destroy", "own", "--erase")
SLOTS = ("SFM_KV_URL", "SFM_VECTOR_URL", "SFM_GRAPH_URL")


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory on some stores, used by commands, each a process's work from start to end."""

    folder: Path
    stores: Mapping[str, RawStore]
    said: Callable[[], str]

    def sfm(self, *arguments: str, status: int = Exit.OK) -> str:
        """Call a command and return what it says."""
        found = run(arguments)
        said = self.said()
        assert found == status, said
        return said

    def remember(self, namespace: str) -> None:
        """Store a memory that was something else before, deletes one and leaves another."""
        for coord, text in (("7", WORDS[0]), ("7", WORDS[1]), ("8", " ".join(WORDS))):
            self.sfm("store", f"A {text} tale.", "--coord", coord, "-n", namespace)
        self.sfm("store", "A plain tale.", "--coord", "9", "-n", namespace)
        self.sfm("link", "7", "8", "-n", namespace)
        self.sfm("delete", "8", "-n", namespace)

    def traces(self) -> dict[str, list[str]]:
        """Return the files that have one of the words, by word; none where there is none."""
        found = files_with(self.folder, *WORDS)
        return {word: files for word, files in found.items() if files}


@pytest.fixture
def memory(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Generator[Memory]:
    """A memory on the stores of one set; encrypted if there are keys."""
    kinds = SETS[str(request.param)]
    with ExitStack() as stack:
        stores: dict[str, RawStore] = {}
        for kind in dict.fromkeys(kinds):
            folder = tmp_path / kind.replace("+", "-")
            folder.mkdir()
            stores[kind] = stack.enter_context(store_in(folder, kind))
        for slot, kind in zip(SLOTS, kinds, strict=True):
            monkeypatch.setenv(slot, stores[kind].url)
        monkeypatch.setenv("SFM_DATA_FOLDER", str(tmp_path / "data"))
        monkeypatch.setenv("SFM_EMBEDDER_URL", "hashing:")
        # On a busy machine writing a collection anew takes longer than a request would wait.
        monkeypatch.setenv("SFM_INDEX_WAIT_SECONDS", "120")

        def said() -> str:
            out, err = capfd.readouterr()
            return out or err

        yield Memory(tmp_path, stores, said)


@pytest.fixture
def keys(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFM_ENCRYPTION_KEYS_FILE", str(memory.folder / "keys.json"))
    memory.sfm("keys", "new", "one")
    memory.sfm("keys", "new", "own", "--for", "tenant")


def states(report: str) -> dict[str, str]:
    answer = json.loads(report)
    assert not answer["pending"], answer
    return {one["store"]: one["state"] for one in answer["stores"]}


@pytest.mark.parametrize("memory", WITH_FILES_OF_THEIR_OWN, indirect=True)
def test_a_purge_leaves_nothing_in_any_file(memory: Memory) -> None:
    memory.remember("tenant")
    assert set(memory.traces()) == set(WORDS)
    report = states(memory.sfm("forget", "7", "8", "-n", "tenant", "--json"))
    assert {report[store] for store in ("truth", "vectors", "graph")} == {"removed"}
    assert memory.traces() == {}
    assert "A plain tale." in memory.sfm("get", "9", "-n", "tenant")


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("memory", WITH_FILES_OF_THEIR_OWN, indirect=True)
def test_destroying_a_key_leaves_nothing_in_any_file(memory: Memory) -> None:
    memory.remember("tenant")
    # The truth is encrypted; the vector store has payloads in clear.
    assert memory.traces()
    report = states(memory.sfm("keys", "destroy", "own", "--erase", "--json"))
    assert {report[store] for store in ("truth", "vectors", "graph")} == {"removed"}
    assert memory.traces() == {}
    assert b"plain tale" not in b"".join(
        path.read_bytes() for path in (memory.folder / "data").rglob("*") if path.is_file()
    )
    memory.sfm("check")


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("memory", ["redis"], indirect=True)
def test_a_truth_that_is_encrypted_never_had_it_in_its_files(memory: Memory) -> None:
    memory.remember("tenant")
    assert all(
        not file.startswith("redis/") for files in memory.traces().values() for file in files
    )


@pytest.mark.parametrize("how", ["forget", "destroy"])
@pytest.mark.parametrize("memory", ["postgresql"], indirect=True)
def test_postgresql_keeps_what_it_says_it_keeps_and_no_more(
    memory: Memory, how: str, request: pytest.FixtureRequest
) -> None:
    """Free space of pages, and the write-ahead log; both are named in the report."""
    if how == "destroy":
        request.getfixturevalue("keys")
    memory.remember("tenant")
    assert memory.traces()
    asked = ("forget", "7", "8", "-n", "tenant") if how == "forget" else DESTROY
    answer = json.loads(memory.sfm(*asked, "--json"))
    rows = {one["store"]: one for one in answer["stores"]}
    for store in ("truth", "vectors"):
        assert rows[store]["state"] == "remains"
        assert "VACUUM FULL" in rows[store]["detail"]
        assert "write-ahead log" in rows[store]["detail"]
    postgres = memory.stores["postgresql"]
    with psycopg.connect(postgres.url, autocommit=True) as raw:
        raw.execute("VACUUM FULL")
        raw.execute("CHECKPOINT")
    left = [file for files in memory.traces().values() for file in files]
    assert all("/pg_wal/" in file for file in left), left
