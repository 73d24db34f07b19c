"""What the page says of other projects can be looked up where it says, as it was then."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "comparison.md"
TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:-1]
LINK = re.compile(r"\]\((https://[^)]+)\)")
REPOSITORY = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")
AT_A_COMMIT = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+/(?:blob|tree)/[0-9a-f]{40}/\S+")


def test_every_file_is_named_as_it_was_in_a_commit() -> None:
    loose = [
        link
        for link in LINK.findall(TEXT)
        if not REPOSITORY.fullmatch(link) and not AT_A_COMMIT.fullmatch(link)
    ]
    assert loose == []


def test_every_project_has_its_sources_its_licence_and_what_it_has_and_we_have_not() -> None:
    for section in SECTIONS:
        name = section.partition("\n")[0]
        assert any(AT_A_COMMIT.fullmatch(link) for link in LINK.findall(section)), name
        assert re.search(r"Apache-2\.0|MIT", section), name
        assert "have and we have not:**" in section or "has and we have not:**" in section, name


def test_the_day_on_which_it_was_looked_up_is_told() -> None:
    assert re.search(r"read on \d{4}-\d{2}-\d{2}\.", TEXT)
