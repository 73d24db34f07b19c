"""The tutorial shows the example as it is, and all of it."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "examples" / "sfm-vector-lancedb"
PAGE = (ROOT / "docs/tutorials/write-a-vector-store.md").read_text(encoding="utf-8")
BLOCKS = [
    (language, code.strip("\n"))
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
]
SOURCES = {
    "python": [*EXAMPLE.glob("src/*/*.py"), *EXAMPLE.glob("tests/*.py")],
    "toml": [EXAMPLE / "pyproject.toml"],
}
MOST_LINES = 155


def squeezed(code: str) -> str:
    """Return code without its empty lines, of which a page has others than a file."""
    return "\n".join(line for line in code.splitlines() if line.strip())


def shifted(code: str) -> list[str]:
    """Return a block as it may stand in a file: at the margin, or in a class."""
    return [squeezed(code), squeezed(textwrap.indent(code, "    "))]


def test_every_block_is_taken_from_the_example() -> None:
    for language, code in BLOCKS:
        if language in SOURCES:
            texts = [squeezed(source.read_text(encoding="utf-8")) for source in SOURCES[language]]
            assert any(form in text for text in texts for form in shifted(code)), code


def test_the_whole_store_is_shown() -> None:
    shown = {line.strip() for language, code in BLOCKS for line in code.splitlines() if language}
    for source in EXAMPLE.glob("src/*/[a-z]*.py"):
        lines = [line.strip() for line in source.read_text(encoding="utf-8").splitlines()]
        assert [line for line in lines if line not in shown and line] == []


def test_a_vector_store_takes_no_more_lines_than_promised() -> None:
    sources = EXAMPLE.glob("src/**/*.py")
    assert sum(len(source.read_text("utf-8").splitlines()) for source in sources) <= MOST_LINES
