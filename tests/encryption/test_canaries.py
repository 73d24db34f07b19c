"""What was stored is in no file of any store, once it is encrypted; the files are searched."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfm_core.engine.assembly import open_engine
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.memory import NewMemory
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots
from sfm_core.wrapping import UNWRAPPED, Wrapping
from sfm_server.encryption.bare_vectors import BareVectorStore
from tests.raw_stores import files_with, store_in
from tests.sealed_stores import sealed

pytestmark = pytest.mark.long

CANARIES = ("quetzalcoatlus", "archaeopteryx", "ichthyosaurus", "pachycephalosaurus")
HERE, THERE, GONE = Coordinate((1.0,)), Coordinate((2.0,)), Coordinate((3.0,))
SPACE = "zoo"


async def live_in(folder: Path, url: str, wrapping: Wrapping) -> None:
    """Store, replace, delete and link memories that say what is then searched for."""
    slots = Slots(kv=url, vector="sqlite:", graph="sqlite:", cache="memory:", embedder="hashing:")
    context = BackendContext(data_folder=folder, wrapping=wrapping)
    registry = load_plugins().registry
    async with open_engine(slots=slots, registry=registry, context=context) as engine:
        for where, word in zip((HERE, THERE, GONE), CANARIES, strict=False):
            await engine.store(SPACE, NewMemory(coordinate=where, payload={"text": f"A {word}."}))
        await engine.store(
            SPACE,
            NewMemory(coordinate=HERE, payload={"text": f"A {CANARIES[3]}."}),
            idempotency_key=IdempotencyKey(CANARIES[0]),
        )
        await engine.delete(SPACE, GONE)
        await engine.link(SPACE, HERE, THERE)


def found_in(folder: Path) -> set[str]:
    """Return which of the words stand in a file below a folder."""
    return {word for word, files in files_with(folder, *CANARIES).items() if files}


@pytest.mark.parametrize("kind", ["sqlite", "redis", "postgresql"])
async def test_no_file_of_any_store_holds_what_is_encrypted(kind: str, tmp_path: Path) -> None:
    with store_in(tmp_path, kind) as truth:
        await live_in(tmp_path, truth.url, Wrapping(kv=sealed, vector=BareVectorStore))
        assert found_in(tmp_path) == set()
        truth.stop()
        assert found_in(tmp_path) == set()


@pytest.mark.parametrize("kind", ["sqlite", "redis", "postgresql"])
async def test_the_search_would_find_it(kind: str, tmp_path: Path) -> None:
    with store_in(tmp_path, kind) as truth:
        await live_in(tmp_path, truth.url, UNWRAPPED)
        truth.stop()
        # What was deleted may be gone.
        assert found_in(tmp_path) >= set(CANARIES) - {CANARIES[2]}


async def test_a_vector_store_that_is_given_content_holds_it_in_clear(tmp_path: Path) -> None:
    await live_in(tmp_path, "sqlite:", Wrapping(kv=sealed))
    assert found_in(tmp_path)
