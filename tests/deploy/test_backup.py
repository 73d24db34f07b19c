"""`backup.sh` and `restore.sh` bring everything back, and notice what is not whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SFM = Path(sys.executable).with_name("sfm")


class Shop:
    """A data folder, and the scripts as somebody runs them elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                "SFM": str(SFM),
                "SFM_EMBEDDER_URL": "hashing:",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def script(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("sh", str(ROOT / "scripts" / name), *arguments)

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


def test_a_backup_that_cannot_be_made_keeps_the_status_of_the_program(shop: Shop) -> None:
    failed = shop.script("backup.sh", "b.jsonl", "--url", "http://127.0.0.1:9")
    assert failed.returncode == 5
    assert not (shop.folder / "b.jsonl").exists()
