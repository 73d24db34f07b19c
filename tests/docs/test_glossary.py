"""The page of words has each word once, and every one that the architecture sets in italics."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8")
WORDS = re.findall(r"^\| \*([a-z -]+)\* \|", TEXT, re.MULTILINE)
EXPLAINED = frozenset(re.findall(r"\*([a-z -]+)\*", TEXT))
# Said with emphasis, and no term.
EMPHASIS = frozenset({"now"})


def test_each_word_is_there_once_and_in_order() -> None:
    assert sorted(set(WORDS)) == WORDS


def test_every_row_explains_its_word_in_sentences() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| *")]
    assert len(rows) == len(WORDS)
    assert [row for row in rows if not row.endswith(". |")] == []


def test_every_term_of_the_architecture_is_explained() -> None:
    page = (DOCS / "ARCHITECTURE.md").read_text(encoding="utf-8")
    terms = set(re.findall(r"(?<!\*)\*([a-z ]+)\*(?!\*)", page))
    assert terms
    assert terms - EXPLAINED - EMPHASIS == set()
