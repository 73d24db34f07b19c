"""The blocks of a page: what it tells a newcomer to type, and what it shows as the answer."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

README = Path(__file__).resolve().parents[1] / "README.md"
PATIENCE_SECONDS = 120.0
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path = README) -> list[tuple[str, str]]:
    """Return language and text of each block that is no installation."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(language, code) for language, code in found if language != "bash"]


def walk(run: Callable[[str], str], page: Path = README) -> None:
    """Run each command and hold what it prints to the answer that is shown after it.

    Args:
        run: Runs a block and returns what it printed.
        page: Where they are.
    """
    output = ""
    for language, code in blocks(page):
        if language == "sh":
            output = run(code)
        elif language in {"json", "jsonl"}:
            shown, real = _documents(code), _documents(output)
            assert _holds(shown, real), f"shown: {shown}\nreal: {real}"


def run_block(
    code: str, *, address: str, programs: Path, folder: Path, environ: Mapping[str, str]
) -> str:
    """Run a block as a shell does.

    Args:
        code: The block.
        address: Host and port of the server that it is meant for.
        programs: Where `sfm` is.
        folder: Where to run it.
        environ: Its variables.

    Returns:
        What it printed.
    """
    script = code.replace("localhost:9595", address).replace(".venv/bin", str(programs))
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _documents(text: str) -> list[object]:
    """Read JSON documents that follow one another, with or without line ends."""
    found: list[object] = []
    rest = text.strip()
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        found.append(document)
        rest = rest[end:].lstrip()
    return found


def _holds(shown: object, real: object) -> bool:
    """Tell whether an answer is as shown; it may have more fields than are shown."""
    if isinstance(shown, Mapping) and isinstance(real, Mapping):
        wanted, given = cast(Mapping[str, object], shown), cast(Mapping[str, object], real)
        return all(name in given and _holds(value, given[name]) for name, value in wanted.items())
    if isinstance(shown, list) and isinstance(real, list):
        items, others = cast(Sequence[object], shown), cast(Sequence[object], real)
        return len(items) == len(others) and all(map(_holds, items, others))
    return shown == real
