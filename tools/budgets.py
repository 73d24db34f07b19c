"""Measure the size and documentation budgets of the code.

    python -m tools.budgets [PATH ...]

Each breach is printed as ``path:line: what``, and the exit status is then 1.
Without a path, the code of every distribution, the tests and the tools are read.

Lines of a function run from its ``def`` to its end without its docstring, because the
docstrings here are long on purpose. Medians, docstrings and documented raises are asked of
the code under a ``src`` folder only. Branches are limited by ruff's C901.
"""

from __future__ import annotations

import argparse
import ast
import re
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PATTERNS = ("sfm-*/src", "sfm-*/tests", "tests", "tools", "benchmarks", "examples")

MODULE_LINES = 400
MODULE_MEDIAN = 120
FUNCTION_LINES = 50
FUNCTION_MEDIAN = 8

# They end an iteration or a command; a caller never handles them as errors.
CONTROL_FLOW = frozenset({"Exit", "StopAsyncIteration", "StopIteration", "SystemExit"})

_SECTION = re.compile(r"^(?P<indent>\s*)Raises:\s*$")
_ENTRY = re.compile(r"^\s+(?P<names>[\w.]+(?:,\s*[\w.]+)*):")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Breach:
    """One place where a budget is exceeded."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A function or class with what encloses it, outermost first."""

    node: Documented
    parents: tuple[Documented, ...] = ()

    @property
    def name(self) -> str:
        """The dotted name inside the module."""
        return ".".join(parent.name for parent in (*self.parents, self.node))

    @property
    def public(self) -> bool:
        """Whether a user can reach it: no private name and no function around it."""
        if any(isinstance(parent, Function) for parent in self.parents):
            return False
        return not any(_is_private(part.name) for part in (*self.parents, self.node))


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One parsed file."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """How many lines the file has."""
        return len(self.text.splitlines())

    @property
    def shipped(self) -> bool:
        """Whether it is code that users install; an example is there to be read."""
        return "src" in self.path.parts and "examples" not in self.path.parts

    @property
    def private(self) -> bool:
        """Whether its own name or that of a package above says that users stay out."""
        parts = (*self.path.parent.parts, self.path.stem)
        return any(_is_private(part) for part in parts)

    def definitions(self) -> Iterator[Definition]:
        """Every function and class, however deeply nested."""
        return _definitions(self.tree, ())


def read_modules(paths: Iterable[Path]) -> list[Module]:
    """Parse every Python file under some paths.

    Args:
        paths: Files and folders. A folder is searched through all its levels.

    Returns:
        The modules in the order of their paths.

    Raises:
        SyntaxError: A file is not valid Python.
    """
    files: set[Path] = set()
    for path in paths:
        files.update([path] if path.is_file() else path.rglob("*.py"))
    modules: list[Module] = []
    for file in sorted(files):
        text = file.read_text(encoding="utf-8")
        modules.append(Module(path=file, text=text, tree=ast.parse(text, filename=str(file))))
    return modules


def size_breaches(module: Module) -> Iterator[Breach]:
    """Find what is too long in a module: the file itself and its functions."""
    if module.lines > MODULE_LINES:
        yield Breach(
            path=module.path,
            line=1,
            message=f"the module has {module.lines} lines; the limit is {MODULE_LINES}",
        )
    for definition in module.definitions():
        length = _function_lines(definition.node)
        if length > FUNCTION_LINES:
            yield Breach(
                path=module.path,
                line=definition.node.lineno,
                message=f"{definition.name} has {length} lines; the limit is {FUNCTION_LINES}",
            )


def docstring_breaches(module: Module) -> Iterator[Breach]:
    """Find the public names of a module that have no docstring."""
    if ast.get_docstring(module.tree) is None:
        yield Breach(path=module.path, line=1, message="the module has no docstring")
    for definition in module.definitions():
        node = definition.node
        if definition.public and not _documented_elsewhere(node) and not ast.get_docstring(node):
            yield Breach(
                path=module.path,
                line=node.lineno,
                message=f"{definition.name} has no docstring",
            )


def raise_breaches(module: Module) -> Iterator[Breach]:
    """Find the errors that a public function raises and its docstring does not name."""
    if module.private:
        return
    for definition in module.definitions():
        if not _must_document_raises(definition):
            continue
        documented = _documented_raises(definition)
        for line, name in _raised(definition.node):
            if name not in documented:
                yield Breach(
                    path=module.path,
                    line=line,
                    message=f"{definition.name} raises {name}, which its docstring does not name",
                )


def median_breaches(modules: Sequence[Module], *, root: Path) -> Iterator[Breach]:
    """Compare the medians of all shipped code with their limits."""
    for what, sizes, limit in (
        ("module", _module_sizes(modules), MODULE_MEDIAN),
        ("function", _function_sizes(modules), FUNCTION_MEDIAN),
    ):
        median = statistics.median(sizes) if sizes else 0
        if median > limit:
            message = f"the median {what} has {median:g} lines; the limit is {limit}"
            yield Breach(path=root, line=1, message=message)


def check(modules: Sequence[Module], *, root: Path) -> list[Breach]:
    """Apply every budget.

    Args:
        modules: What to look at.
        root: The path that a breach of a median, which has no place, is reported at.

    Returns:
        The breaches, sorted by place; empty when all budgets are kept.
    """
    breaches = list(median_breaches(modules, root=root))
    for module in modules:
        breaches += size_breaches(module)
        if module.shipped:
            breaches += docstring_breaches(module)
            breaches += raise_breaches(module)
    return sorted(breaches)


def summary(modules: Sequence[Module]) -> str:
    """Say in one line how large the shipped code is."""
    files, functions = _module_sizes(modules), _function_sizes(modules)
    if not files or not functions:
        return f"{len(modules)} modules, none of them shipped"
    return (
        f"{len(files)} shipped modules: median {statistics.median(files):g} lines, "
        f"longest {max(files)}; {len(functions)} functions: "
        f"median {statistics.median(functions):g} lines, longest {max(functions)}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check from the command line.

    Args:
        arguments: The paths to read; those of the process when `None`.

    Returns:
        The exit status: 0 when every budget is kept, 1 otherwise.
    """
    parser = argparse.ArgumentParser(description="Measure size and documentation budgets.")
    parser.add_argument("paths", nargs="*", type=Path, help="files and folders to read")
    paths: list[Path] = parser.parse_args(arguments).paths or _default_paths()
    modules = read_modules(paths)
    breaches = check(modules, root=Path())
    for breach in breaches:
        print(breach)
    print(summary(modules))
    return 1 if breaches else 0


def _default_paths() -> list[Path]:
    found = (path for pattern in DEFAULT_PATTERNS for path in sorted(ROOT.glob(pattern)))
    return [path.relative_to(ROOT) if Path.cwd() == ROOT else path for path in found]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _definitions(node: ast.AST, parents: tuple[Documented, ...]) -> Iterator[Definition]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Documented):
            yield Definition(node=child, parents=parents)
            yield from _definitions(child, (*parents, child))
        else:
            yield from _definitions(child, parents)


def _function_lines(node: Documented) -> int:
    if isinstance(node, ast.ClassDef):
        return 0
    end = node.end_lineno or node.lineno
    return end - node.lineno + 1 - _docstring_lines(node)


def _docstring_lines(node: Documented) -> int:
    if ast.get_docstring(node) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def _module_sizes(modules: Sequence[Module]) -> list[int]:
    return [module.lines for module in modules if module.shipped]


def _function_sizes(modules: Sequence[Module]) -> list[int]:
    return [
        _function_lines(definition.node)
        for module in modules
        if module.shipped
        for definition in module.definitions()
        if isinstance(definition.node, Function)
    ]


def _decorators(node: Documented) -> set[str]:
    names = (_last_name(decorator) for decorator in node.decorator_list)
    return {name for name in names if name}


def _documented_elsewhere(node: Documented) -> bool:
    """Dunder methods say what the language says; overrides and setters what the first one says."""
    if _is_dunder(node.name):
        return True
    return bool(_decorators(node) & {"override", "overload", "setter", "deleter"})


def _must_document_raises(definition: Definition) -> bool:
    node = definition.node
    if isinstance(node, ast.ClassDef) or not definition.public:
        return False
    return not _decorators(node) & {"override", "overload"}


def _documented_raises(definition: Definition) -> set[str]:
    node = definition.node
    texts = [ast.get_docstring(node)]
    # A constructor or another dunder method is described by its class.
    if _is_dunder(node.name) and definition.parents:
        texts.append(ast.get_docstring(definition.parents[-1]))
    return {name for text in texts if text for name in _raises_section(text)}


def _raises_section(docstring: str) -> Iterator[str]:
    inside = False
    indent = 0
    for line in docstring.splitlines():
        if header := _SECTION.match(line):
            inside, indent = True, len(header["indent"])
        elif inside and line.strip() and len(line) - len(line.lstrip()) <= indent:
            inside = False
        elif inside and (entry := _ENTRY.match(line)):
            yield from (name.strip().rpartition(".")[2] for name in entry["names"].split(","))


def _raised(function: ast.AST) -> Iterator[tuple[int, str]]:
    """Walk a function without the functions inside it, which are called by others."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, Documented | ast.Lambda):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            name = _class_name(child.exc)
            if name and name not in CONTROL_FLOW:
                yield child.lineno, name
        yield from _raised(child)


def _class_name(expression: ast.expr) -> str | None:
    """The class in ``Error(...)``, ``module.Error`` or ``Error.because(...)``; else `None`."""
    target = expression.func if isinstance(expression, ast.Call) else expression
    while isinstance(target, ast.Attribute) and not target.attr[:1].isupper():
        target = target.value
    name = _last_name(target)
    return name if name and name.lstrip("_")[:1].isupper() else None


def _last_name(expression: ast.expr) -> str | None:
    target = expression.func if isinstance(expression, ast.Call) else expression
    if isinstance(target, ast.Attribute):
        return target.attr
    return target.id if isinstance(target, ast.Name) else None


if __name__ == "__main__":
    sys.exit(main())
