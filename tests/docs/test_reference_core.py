"""The pages about hooks, ports and filters against the code."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from sfm_core import hookspecs
from sfm_core.model.filters import matches, parse_filter
from sfm_core.model.payload import JsonValue

ROOT = Path(__file__).resolve().parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"
CORE = ROOT / "sfm-core" / "src" / "sfm_core"
PROTOCOLS = sorted((CORE / "protocols").glob("*.py"))
CELL = re.compile(r"`([^`]+)`")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def stubs(text: str) -> Iterator[ast.stmt]:
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from ast.parse(block).body


def bare(node: ast.ClassDef | Function) -> str:
    """Return a definition without docstrings, bodies and decorators of hooks."""
    copy = ast.parse(ast.unparse(node)).body[0]
    for part in ast.walk(copy):
        if isinstance(part, ast.ClassDef | Function):
            without = part.body[1:] if ast.get_docstring(part) else part.body
            part.body = without or [ast.Expr(ast.Constant(...))]
        if isinstance(part, Function):
            part.body = [ast.Expr(ast.Constant(...))]
            part.decorator_list = [d for d in part.decorator_list if ast.unparse(d) != "hookspec"]
    return ast.unparse(copy)


def public_classes() -> list[ast.ClassDef]:
    return [
        node
        for module in PROTOCOLS
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def methods(port: ast.ClassDef) -> list[str]:
    return [
        node.name
        for node in port.body
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_")
    ]


def hooks() -> list[ast.FunctionDef]:
    tree = ast.parse((CORE / "hookspecs.py").read_text(encoding="utf-8"))
    return [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("sfm_")]


class TestPorts:
    @pytest.mark.parametrize("wanted", public_classes(), ids=lambda node: node.name)
    def test_every_port_and_value_is_on_the_page_as_it_is_in_the_code(
        self, wanted: ast.ClassDef
    ) -> None:
        shown = [bare(node) for node in stubs(page("ports.md")) if isinstance(node, ast.ClassDef)]

        assert bare(wanted) in shown

    def test_the_page_shows_no_class_that_the_code_does_not_have(self) -> None:
        shown = {node.name for node in stubs(page("ports.md")) if isinstance(node, ast.ClassDef)}

        assert shown == {node.name for node in public_classes()}

    @pytest.mark.parametrize("port", public_classes(), ids=lambda node: node.name)
    def test_every_method_is_explained_in_words(self, port: ast.ClassDef) -> None:
        prose = re.sub(r"^```.*?^```", "", page("ports.md"), flags=re.MULTILINE | re.DOTALL)

        missing = [name for name in methods(port) if f"`{name}`" not in prose]

        assert missing == []


class TestPorting:
    def test_the_page_lists_what_there_is(self) -> None:
        tree = ast.parse((CORE / "porting.py").read_text(encoding="utf-8"))
        offered = {
            node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)
        }
        section = page("ports.md").partition("## A base to build on")[2].partition("\n## ")[0]
        cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]

        assert {name for cell in cells for name in CELL.findall(cell)} == offered


class TestHooks:
    @pytest.mark.parametrize("hook", hooks(), ids=lambda node: node.name)
    def test_every_hook_is_on_the_page_with_its_signature(self, hook: ast.FunctionDef) -> None:
        shown = [bare(node) for node in stubs(page("hooks.md")) if isinstance(node, Function)]

        assert bare(hook) in shown
        assert f"| `{hook.name}` |" in page("hooks.md")

    def test_the_page_shows_no_hook_that_the_code_does_not_have(self) -> None:
        named = set(re.findall(r"\bsfm_register_\w+", page("hooks.md")))

        assert named == {hook.name for hook in hooks()}

    def test_the_registering_function_is_shown_with_its_signature(self) -> None:
        tree = ast.parse((CORE / "registry.py").read_text(encoding="utf-8"))
        (wanted,) = [
            method
            for node in tree.body
            if isinstance(node, ast.ClassDef) and node.name == "Register"
            for method in node.body
            if isinstance(method, ast.FunctionDef)
        ]
        shown = [bare(node) for node in stubs(page("hooks.md")) if isinstance(node, Function)]

        assert bare(wanted) in shown

    def test_the_version_of_the_plugin_api_is_the_one_on_the_page(self) -> None:
        assert f"at present `{hookspecs.API_VERSION}`" in page("hooks.md")
        assert f"SFM_API_VERSION = {hookspecs.API_VERSION}\n" in page("hooks.md")


def filter_examples() -> list[tuple[str, str, str]]:
    rows = [line for line in page("filters.md").splitlines() if line.startswith("| `{")]
    return [cast(tuple[str, str, str], tuple(CELL.findall(row))) for row in rows]


class TestFilters:
    @pytest.mark.parametrize(("source", "good", "bad"), filter_examples())
    def test_every_example_holds_where_the_page_says(
        self, source: str, good: str, bad: str
    ) -> None:
        condition = parse_filter(json.loads(source))
        assert condition is not None

        assert matches(condition, cast(dict[str, JsonValue], json.loads(good)))
        assert not matches(condition, cast(dict[str, JsonValue], json.loads(bad)))

    def test_every_operator_has_an_example(self) -> None:
        documented = {name for row in filter_examples() for name in re.findall(r"\$\w+", row[0])}
        tree = ast.parse((CORE / "model" / "filters.py").read_text(encoding="utf-8"))
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]

        known = {text for text in texts if isinstance(text, str) and re.fullmatch(r"\$\w+", text)}

        assert documented == known
