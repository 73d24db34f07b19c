"""`backup.sh` and `restore.sh` bring everything back, and notice what is not whole."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.fix_modes import Stores

ROOT = Path(__file__).resolve().parents[2]
SFM = Path(sys.executable).with_name("sfm")


class Shop:
    """A data folder, and the scripts as somebody runs them elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                "SFM": str(SFM),
                "SFM_EMBEDDER_URL": "hashing:",
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def script(
        self, name: str, *arguments: str, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run("sh", str(ROOT / "scripts" / name), *arguments, **environ)

    def sfm(self, *arguments: str) -> str:
        said = self.run(str(SFM), *arguments, "--data", "data")
        assert said.returncode == 0, said.stderr
        return said.stdout


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    lines: list[object] = [{"coord": [n], "payload": {"text": f'a "footer" {n}'}} for n in range(5)]
    lines.append({"kind": "link", "from_coord": [0], "to_coord": [1]})
    (tmp_path / "lines").write_text("\n".join(map(json.dumps, lines)))
    made.sfm("import", "lines")
    return made


@pytest.mark.parametrize(
    "name",
    [
        "b.jsonl",
        pytest.param("b.jsonl.gz", marks=pytest.mark.long),
        pytest.param("b.jsonl.zst", marks=pytest.mark.long),
    ],
)
def test_a_backup_comes_back(shop: Shop, name: str) -> None:
    if name.endswith(".zst") and shutil.which("zstd") is None:
        # Then the script says so, which is what is left to test.
        assert "Install zstd" in shop.script("backup.sh", name, "--data", "data").stderr
        return
    made = shop.script("backup.sh", name, "--data", "data")
    assert made.stdout.startswith("Backed up 5 memories and 1 links"), made.stderr
    assert (shop.folder / name).stat().st_mode & 0o077 == 0
    shop.sfm("delete-many", "--type", "episodic")
    back = shop.script("restore.sh", name, "--data", "data")
    assert back.stdout == f"Restored 5 memories and 1 links from {name}.\n", back.stderr
    again = shop.script("restore.sh", name, "--data", "data")
    assert again.returncode == 0
    assert json.loads(shop.sfm("stats", "--json"))["total_memories"] == 5


def test_what_a_restore_would_refuse_is_no_backup(shop: Shop) -> None:
    script = str(ROOT / "scripts" / "backup.sh")
    strict = ("env", "SFM_MAX_PAYLOAD_BYTES=20", "sh", script)
    refused = shop.run(*strict, "b.jsonl", "--data", "data", "--only", "default")
    assert refused.returncode == 1
    assert "Line 2: " in refused.stderr
    assert "not found fit to be restored" in refused.stderr
    narrowed = shop.script("backup.sh", "b.jsonl", "--only=none", "--data", "data")
    assert narrowed.stdout.startswith("Backed up 0 memories"), narrowed.stderr


def test_what_has_expired_since_does_not_come_back(shop: Shop) -> None:
    ended: dict[str, object] = {
        "kind": "memory",
        "coord": [9],
        "payload": {},
        "expires_at": "2020-01-01T00:00:00Z",
    }
    link: dict[str, object] = {"kind": "link", "from_coord": [0], "to_coord": [9], "version": 1}
    shop.script("backup.sh", "b.jsonl", "--data", "data")
    add_to_backup(shop.folder / "b.jsonl", [ended, link])
    for _ in range(2):
        back = shop.script("restore.sh", "b.jsonl", "--data", "data")
        assert back.stdout.splitlines() == [
            "Restored 5 memories and 1 links from b.jsonl.",
            "Left out, since their time is over: 1 memories, and 1 links.",
        ], back.stderr


def add_to_backup(file: Path, documents: Sequence[dict[str, object]]) -> None:
    """Add lines to an export, and have its last line count them."""
    *lines, last = file.read_text().splitlines()
    lines += [json.dumps(one, separators=(",", ":")) for one in documents]
    content = "".join(line + "\n" for line in lines)
    footer = json.loads(last) | {"sha256": hashlib.sha256(content.encode()).hexdigest()}
    for kind, name in (("memory", "memories"), ("link", "links")):
        footer[name] = sum(json.loads(line)["kind"] == kind for line in lines)
    file.write_text(content + json.dumps(footer, separators=(",", ":")) + "\n")


DAMAGES: dict[str, tuple[Callable[[str], str], str]] = {
    "changed": (lambda text: text.replace('a \\"footer\\" 3', "another 3"), "checksum"),
    "cut off": (lambda text: text[: text.rindex("\n", 0, -1) + 1], "last line"),
    "another kind": (lambda text: text.replace('{"kind":"link"', '{"kind":"blink"'), "0 links"),
    "no header": (lambda text: text[text.index("\n") + 1 :], "checksum"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_not_whole_is_not_restored(shop: Shop, name: str) -> None:
    damage, why = DAMAGES[name]
    shop.script("backup.sh", "b.jsonl", "--data", "data")
    file = shop.folder / "b.jsonl"
    before = file.read_text()
    file.write_text(damage(before))
    assert file.read_text() != before
    refused = shop.script("restore.sh", "b.jsonl", "--data", "elsewhere")
    assert refused.returncode == 1
    assert why in refused.stderr
    assert not (shop.folder / "elsewhere").exists()


@pytest.mark.parametrize("script", ["backup.sh", "restore.sh"])
def test_help_and_mistakes_are_told(shop: Shop, script: str) -> None:
    assert f"scripts/{script} FILE" in shop.script(script, "--help").stdout
    assert shop.script(script).returncode == 2
    assert shop.script(script, "--data", "data").returncode == 2


def test_a_restore_is_not_told_to_only_look(shop: Shop) -> None:
    refused = shop.script("restore.sh", "b.jsonl", "--data", "data", "--dry-run")
    assert refused.returncode == 2
    assert "sfm import b.jsonl --dry-run" in refused.stderr


def test_a_backup_that_cannot_be_made_keeps_the_status_of_the_program(shop: Shop) -> None:
    failed = shop.script("backup.sh", "b.jsonl", "--url", "http://127.0.0.1:9")
    assert failed.returncode == 5
    assert not (shop.folder / "b.jsonl").exists()


@pytest.fixture
def live(shop: Shop, stores: Stores) -> Shop:
    """A shop with a backup, in whose folder a file says that Redis holds what is live."""
    assert shop.script("backup.sh", "b.jsonl", "--data", "data").returncode == 0
    settings = stores.redis() | {
        "MEMORY_MODE": "development",
        "EVENTING_ENABLED": "false",
        "SFM_VECTOR_URL": "sqlite:vectors.db",
        "SFM_DATA_FOLDER": str(shop.folder / "live"),
    }
    lines = (f"{name}='{value}'\n" for name, value in settings.items())
    (shop.folder / ".env").write_text("".join(lines))
    assert shop.run(str(SFM), "store", "only here", "--coord", "9").returncode == 0
    return shop


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "not in a folder"),
        ({"MEMORY_MODE": "embedded"}, "would take over the memories of redis"),
    ],
)
def test_a_restore_that_is_tried_on_a_folder_leaves_the_live_memory_alone(
    live: Shop, environ: dict[str, str], named: str
) -> None:
    tried = live.script("restore.sh", "b.jsonl", "--data", "tried", **environ)
    assert tried.returncode == 6
    assert named in tried.stderr

    left = live.run(str(SFM), "stats", "--json")
    assert left.returncode == 0, left.stderr
    assert json.loads(left.stdout)["total_memories"] == 1


def test_a_restore_is_tried_as_the_page_says(live: Shop) -> None:
    page = (ROOT / "docs" / "how-to" / "back-up-and-restore.md").read_text(encoding="utf-8")
    [script] = re.findall(r"^```sh\n(mkdir .*?)^```", page, re.MULTILINE | re.DOTALL)
    here = {
        "/tmp/tried": str(live.folder / "tried"),  # noqa: S108 - of the page
        "/srv/sfm/": f"{ROOT}/",
        "/backups/1.jsonl.zst": str(live.folder / "b.jsonl"),
        "sfm stats": f"{SFM} stats --json",
    }
    for shown, real in here.items():
        assert shown in script
        script = script.replace(shown, real)
    done = live.run("sh", "-eu", "-c", script)
    assert done.returncode == 0, done.stderr
    assert "Restored 5 memories" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["total_memories"] == 5
