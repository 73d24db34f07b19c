from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mutants_capabilities import CAPABILITY_MUTANTS
from mutants_entries import ENTRY_MUTANTS
from mutants_filters import FILTER_MUTANTS
from mutants_graph import GRAPH_MUTANTS
from mutants_handlers import HANDLER_MUTANTS
from mutants_outages import CACHE_OUTAGE_MUTANTS, KEY_VALUE_OUTAGE_MUTANTS
from mutants_outbox import OUTBOX_MUTANTS
from mutants_points import POINT_MUTANTS
from mutants_small import CACHE_MUTANTS, EMBEDDER_MUTANTS, SINK_MUTANTS
from mutants_vector import VECTOR_MUTANTS

# All of them run in one go, with the first test.
pytestmark = pytest.mark.timeout(900)

MUTANTS = (
    *ENTRY_MUTANTS,
    *OUTBOX_MUTANTS,
    *VECTOR_MUTANTS,
    *POINT_MUTANTS,
    *FILTER_MUTANTS,
    *GRAPH_MUTANTS,
    *CACHE_MUTANTS,
    *SINK_MUTANTS,
    *HANDLER_MUTANTS,
    *EMBEDDER_MUTANTS,
    *KEY_VALUE_OUTAGE_MUTANTS,
    *CACHE_OUTAGE_MUTANTS,
    *CAPABILITY_MUTANTS,
)
ORIGINALS = (
    "InProcessKeyValueStore",
    "InProcessVectorStore",
    "InProcessGraphStore",
    "InProcessCache",
    "InProcessEventSink",
    "Bookkeeper",
    "HashingEmbedder",
    "RemoteBackend",
    "ModestGraph",
)


@pytest.fixture(scope="session")
def noticed() -> dict[str, str | None]:
    program = Path(__file__).parent.parent / "mutant_run.py"
    run = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False, timeout=880
    )
    assert run.returncode == 0, run.stdout + run.stderr
    result: dict[str, str | None] = json.loads(run.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize("mutant", [mutant.__name__ for mutant in MUTANTS])
def test_the_kit_notices_a_broken_promise(noticed: dict[str, str | None], mutant: str) -> None:
    assert noticed[mutant] is not None


@pytest.mark.parametrize("original", ORIGINALS)
def test_the_kit_accepts_what_keeps_its_promises(
    noticed: dict[str, str | None], original: str
) -> None:
    assert noticed[original] is None


def test_every_mutant_has_a_name_of_its_own() -> None:
    assert len({mutant.__name__ for mutant in MUTANTS}) == len(MUTANTS)
