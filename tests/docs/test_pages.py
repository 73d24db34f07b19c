from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PATTERNS = ("*.md", "sfm-*/*.md", "docs/**/*.md", "examples/**/*.md", "benchmarks/**/*.md")
PAGES = sorted({page for pattern in PATTERNS for page in ROOT.glob(pattern)})

LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(
    r"^(?P<indent>[ ]*)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^[ ]*```", re.MULTILINE | re.DOTALL
)
PARSERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "python": ast.parse,
    "toml": tomllib.loads,
}
SCRIPT = re.compile(r"(?<![\w/])(?:\./)?(?P<path>(?:scripts|\.ci)/[\w.]+)")


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def code_blocks(page: Path) -> Iterator[tuple[str, str]]:
    for block in FENCE.finditer(page.read_text(encoding="utf-8")):
        lines = block["code"].splitlines()
        yield block["language"], "\n".join(line.removeprefix(block["indent"]) for line in lines)


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def is_broken(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return True
    return bool(anchor) and target.suffix == ".md" and anchor not in anchors(target)


def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = [match["target"] for match in LINK.finditer(prose(page))]
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if is_broken(page, link)] == []


def test_every_code_block_is_valid_in_its_language(page: Path) -> None:
    for language, code in code_blocks(page):
        if parse := PARSERS.get(language):
            parse(code)


def test_every_script_that_is_named_exists(page: Path) -> None:
    named = {match["path"] for match in SCRIPT.finditer(page.read_text(encoding="utf-8"))}
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []
