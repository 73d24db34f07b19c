from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import budgets

Write = Callable[..., budgets.Module]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(source: str, name: str = "src/pkg/module.py") -> budgets.Module:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        (module,) = budgets.read_modules([path])
        return module

    return write


def messages(*modules: budgets.Module) -> list[str]:
    return [breach.message for breach in budgets.check(modules, root=Path())]


def function_of(lines: int, *, docstring: str = '"""Do it."""') -> str:
    body = "\n".join(["    pass"] * (lines - 1))
    return f'"""Module."""\ndef long():\n    {docstring}\n{body}\n'


def test_tidy_module_has_no_breach(write: Write) -> None:
    assert messages(write('"""Module."""\n\n\ndef act():\n    """Do it."""\n')) == []


@pytest.mark.parametrize(("lines", "count"), [(400, 0), (401, 1)])
def test_module_may_have_400_lines(write: Write, lines: int, count: int) -> None:
    module = write("#\n" * lines, name="tests/test_long.py")
    assert len(list(budgets.size_breaches(module))) == count


@pytest.mark.parametrize(("lines", "count"), [(50, 0), (51, 1)])
def test_function_may_have_50_lines_beside_its_docstring(
    write: Write, lines: int, count: int
) -> None:
    module = write(function_of(lines))
    assert len(list(budgets.size_breaches(module))) == count


def test_size_breach_names_path_and_line(write: Write) -> None:
    module = write(function_of(51))
    (breach,) = budgets.size_breaches(module)
    assert str(breach).startswith(f"{module.path}:2: long has 51 lines")


def test_length_of_docstring_is_free(write: Write) -> None:
    docstring = '"""Do it.\n' + "    More.\n" * 60 + '    """'
    assert list(budgets.size_breaches(write(function_of(50, docstring=docstring)))) == []


def test_long_median_module_is_a_breach(write: Write) -> None:
    modules = [write("#\n" * 121, name=f"src/pkg/m{i}.py") for i in range(3)]
    medians = [breach.message for breach in budgets.median_breaches(modules, root=Path())]
    assert medians == ["the median module has 121 lines; the limit is 120"]


def test_medians_ignore_tests(write: Write) -> None:
    module = write("#\n" * 300, name="tests/test_long.py")
    assert list(budgets.median_breaches([module], root=Path())) == []


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n",
        '"""Module."""\ndef act(): ...\n',
        '"""Module."""\nclass Thing: ...\n',
        '"""Module."""\nclass Thing:\n    """A thing."""\n    def act(self): ...\n',
    ],
)
def test_missing_public_docstring_is_a_breach(write: Write, source: str) -> None:
    assert len(messages(write(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def _act(): ...",
        "class _Thing:\n    def act(self): ...",
        "class Thing:\n    '''A thing.'''\n    def __len__(self): ...",
        "class Thing:\n    '''A thing.'''\n    @override\n    def act(self): ...",
        "class Thing:\n    '''A thing.'''\n    @size.setter\n    def size(self, value): ...",
        "def act():\n    '''Do it.'''\n    def inner(): ...",
    ],
)
def test_docstring_is_not_asked_of_what_users_do_not_read(write: Write, source: str) -> None:
    assert messages(write(f'"""Module."""\n{source}\n')) == []


@pytest.mark.parametrize(
    "statement",
    [
        "raise KeyError",
        "raise KeyError('x')",
        "raise errors.KeyError('x') from None",
        "raise KeyError.because('x')",
        "\n        if self:\n            raise KeyError",
    ],
)
def test_undocumented_raise_is_a_breach(write: Write, statement: str) -> None:
    source = f'"""M."""\ndef act(self):\n        """Do it."""\n        {statement}\n'
    assert messages(write(source)) == ["act raises KeyError, which its docstring does not name"]


@pytest.mark.parametrize(
    "entry", ["KeyError: No.", "ValueError, KeyError: No.", "builtins.KeyError: No."]
)
def test_documented_raise_is_no_breach(write: Write, entry: str) -> None:
    source = f'''
        """M."""
        def act():
            """Do it.

            Raises:
                {entry}
            """
            raise KeyError("x")
        '''
    assert messages(write(source)) == []


def test_name_outside_the_raises_section_does_not_document(write: Write) -> None:
    source = '''
        """M."""
        def act():
            """Do it.

            Raises:
                ValueError: No.

            Guarantees:
                KeyError: Never.
            """
            raise KeyError("x")
        '''
    assert len(messages(write(source))) == 1


def test_class_documents_what_its_constructor_raises(write: Write) -> None:
    source = '''
        """M."""
        class Thing:
            """A thing.

            Raises:
                ValueError: No.
            """
            def __post_init__(self):
                raise ValueError
        '''
    assert messages(write(source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "def _act():\n    raise KeyError",
        "def act():\n    '''Do it.'''\n    raise",
        "def act():\n    '''Do it.'''\n    raise error",
        "def act():\n    '''Do it.'''\n    raise translate(error)",
        "def act():\n    '''Do it.'''\n    raise typer.Exit(1)",
        "def act():\n    '''Do it.'''\n    def inner():\n        raise KeyError",
    ],
)
def test_raise_that_cannot_or_need_not_be_named_is_no_breach(write: Write, source: str) -> None:
    assert messages(write(f'"""M."""\n{source}\n')) == []


def test_private_module_documents_no_raise(write: Write) -> None:
    source = '"""M."""\ndef act():\n    """Do it."""\n    raise KeyError\n'
    assert messages(write(source, name="src/pkg/_errors.py")) == []


def test_command_fails_and_prints_the_breach(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    module = write("x = 1\n")
    status = budgets.main([str(module.path.parent)])
    printed = capsys.readouterr().out
    assert (status, f"{module.path}:1: the module has no docstring" in printed) == (1, True)


def test_command_succeeds_within_the_budgets(write: Write) -> None:
    module = write('"""Module."""\n')
    assert budgets.main([str(module.path)]) == 0


def test_folder_is_read_through_all_levels(write: Write, tmp_path: Path) -> None:
    write("", name="src/a/b/c.py")
    write("", name="src/a/d.py")
    names = [module.path.name for module in budgets.read_modules([tmp_path])]
    assert names == ["c.py", "d.py"]
