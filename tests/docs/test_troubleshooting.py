"""What the page says that the server says is what it says."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from sfm_core.plugins import load_plugins
from sfm_server.listing import list_settings
from sfm_server.loading import load_settings
from sfm_server.problems import all_errors, status_of

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")
SAID = re.compile(r"^\| ((?:`[^`|]+`(?: or )?)+) \| [A-Z`]", re.MULTILINE)
# What it says in sentences of the page.
QUOTED = ("is locked by another process", "No usable plugin offers")
# Nobody's setting: whose server it is, or the beginning of names.
OTHERS = frozenset({"SFM_", "SFM_PLUGIN_", "MODE", "NAME", "COORD", "ERROR", "SOMA_CPUS"})


def sources() -> str:
    files = ROOT.glob("sfm-*/src/**/*.py")
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(files))


def test_every_message_that_is_quoted_is_one_of_ours_or_of_the_system() -> None:
    ours = sources() + os.strerror(errno.EADDRINUSE).lower()
    quoted = [one for row in SAID.findall(TEXT) for one in re.findall(r"`([^`]+)`", row)]
    assert len(quoted) > 10
    assert [one for one in (*quoted, *QUOTED) if one not in ours] == []


def test_every_code_exists_and_has_the_status_that_is_named() -> None:
    known = {error.code: str(status_of(error).value) for error in all_errors()}
    rows = re.findall(r"^\| ([\d, ]+) \| (`[a-z`, -]+`) \|", TEXT, re.MULTILINE)
    named = [
        (code, status)
        for statuses, codes in rows
        for code, status in zip(
            re.findall(r"`([a-z-]+)`", codes), re.findall(r"\d+", statuses) * 2, strict=False
        )
    ]
    assert len(named) > 10
    assert [pair for pair in named if known.get(pair[0]) != pair[1]] == []


def test_every_variable_exists() -> None:
    settings = load_settings({}, env_file=Path("no-such-file"))
    known = {one.variable for one in list_settings(settings, load_plugins().readers)}
    named = set(re.findall(r"`([A-Z][A-Z_]+[A-Z_])(?:=[^`]*)?`", TEXT)) - OTHERS
    assert len(named) > 10
    assert named <= known
