"""Whose lines an import takes, of which each may name a namespace of its own."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from tenant_tokens import grant, is_refused, issue

from sfm_server.settings import Settings

LINES = (
    b'{"coord": "1", "payload": {}, "namespace": "team/a"}\n'
    b'{"coord": "2", "payload": {}, "namespace": "teams"}\n'
    b'{"coord": "3", "payload": {}}'
)


@pytest.fixture
def team(tmp_path: Path) -> dict[str, str]:
    """The headers of who may import into what begins with a prefix."""
    token = issue(tmp_path / "tokens.json", "team", grant("admin", prefixes=["team/"]))
    return token | {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def settings(tmp_path: Path, team: dict[str, str]) -> Settings:
    del team
    return Settings(
        memory_mode="test", data_folder=tmp_path / "data", tokens_file=tmp_path / "tokens.json"
    )


async def test_who_has_a_prefix_imports_the_lines_that_name_a_namespace_of_it(
    api: httpx.AsyncClient, team: dict[str, str]
) -> None:
    told = (await api.post("/import_memories", content=LINES, headers=team)).json()
    assert (told["imported"], [error["line"] for error in told["errors"]]) == (1, [2, 3])


async def test_a_namespace_of_others_for_lines_that_name_none_is_refused(
    api: httpx.AsyncClient, team: dict[str, str]
) -> None:
    headers = team | {"X-SFM-Namespace": "teams"}
    assert is_refused(await api.post("/import_memories", content=LINES, headers=headers), 403)
