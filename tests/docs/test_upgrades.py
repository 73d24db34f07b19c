"""The page about upgrades names the formats as they are in the code."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sfm_backend_postgres._schema import known_migrations as postgres_migrations
from sfm_backend_sqlite._schema import known_migrations as sqlite_migrations
from sfm_core.engine.manifest import FORMAT
from sfm_core.engine.portable import FORMAT_VERSION
from sfm_core.hookspecs import API_VERSION
from sfm_core.model.cloudevents import SCHEMA_VERSION

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "upgrades.md"
NEWEST_SQLITE = f"{sqlite_migrations()[-1].number:04}"
NEWEST_POSTGRES = max(one.name[:4] for one in postgres_migrations() if not one.optional)


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("hooks and ports, `API_VERSION`", API_VERSION),
        ("events, in `dataschema`", SCHEMA_VERSION),
        ("records of the truth, in its manifest", FORMAT),
        ("lines of an export, in its header", FORMAT_VERSION),
        ("the schema of a SQLite file", NEWEST_SQLITE),
        ("the schema of a PostgreSQL database", NEWEST_POSTGRES),
    ],
)
def test_a_format_has_the_number_that_the_page_names(what: str, number: object) -> None:
    assert f"| {what} | {number} |" in PAGE.read_text(encoding="utf-8")


def test_the_distributions_ask_for_one_another_by_the_minor_version() -> None:
    for path in PAGE.parents[2].glob("sfm-*/pyproject.toml"):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        minor = project["version"].rpartition(".")[0]
        extras = project.get("optional-dependencies", {}).values()
        asked = [one for some in (project["dependencies"], *extras) for one in some]
        siblings = [one for one in asked if one.startswith("somafractalmemory-")]
        assert all(one.endswith(f"~={minor}.0") for one in siblings), path
