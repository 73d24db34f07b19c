"""Secrets with a mark in them, looked for in everything that the program tells anybody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fix_serving import Serve
from tenant_tokens import grant, issue

from sfm_server.access.authority import Authority
from sfm_server.settings import Settings

CANARY = "canary"
ROOT = f"{CANARY}-of-the-root-token"
BACKEND = f"{CANARY}-of-a-backend"
PATHS = ("/", "/health", "/readyz", "/metrics", "/stats", "/openapi.json", "/x")
GUESSED = f"{CANARY}-that-was-guessed"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "SOMA_API_TOKEN": ROOT,
        "SFM_TOKENS_FILE": str(tmp_path / "tokens.json"),
        "SFM_WEBHOOK_SECRET": f"whsec_{CANARY}",
        # 32 bytes, whatever they are.
        "SFM_ENCRYPTION_KEYS": f"one:{CANARY * 7}c=",
        "OPENAI_API_KEY": BACKEND,
        "REDIS_PASSWORD": BACKEND,
        # Nobody listens there, which has to be told without the password.
        "SFM_CACHE_URL": f"redis://user:{BACKEND}@127.0.0.1:1/0",
        "SFM_LOG_LEVEL": "debug",
    }


def visit_everything(url: str, header: dict[str, str]) -> list[str]:
    """Ask for all there is, rightly and wrongly, and return what was told."""
    wrong = {"Authorization": f"Bearer {GUESSED}"}
    told: list[str] = []
    with httpx.Client(base_url=url, timeout=30) as client:
        for headers in (header, {"Authorization": f"Bearer {ROOT}"}, wrong, {}):
            told.extend(_shown(client.get(path, headers=headers)) for path in PATHS)
            told.append(_shown(client.get(f"/stats?token={GUESSED}", headers=headers)))
            told.append(_shown(client.post("/store", content=b"{", headers=headers)))
            told.append(_shown(client.post("/recall", json={"query": 1}, headers=headers)))
            told.append(_shown(client.delete("/memories/x", headers=headers)))
    return told


def _shown(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.headers} {answer.text}"


def test_no_answer_and_no_log_tells_a_secret(
    serve: Serve, environ: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "tokens.json"
    header = issue(file, "tenant", grant("reader", "default"))
    token = header["Authorization"].removeprefix("Bearer ")
    digest = json.loads(file.read_text())["tokens"][0]["sha256"]
    # With it, nothing would start.
    del environ["SFM_CACHE_URL"]
    server = serve(**environ)
    told = "\n".join(visit_everything(server.url, header))
    file.write_text(file.read_text().replace("reader", f"{CANARY}-role"))
    while "cannot be used" not in server.log.read_text():
        pass
    told += "\n".join(visit_everything(server.url, header))
    told += server.stop()
    assert CANARY not in told
    assert token not in told
    assert digest not in told


@pytest.mark.parametrize("command", ["config", "doctor", "plugins", "serve"])
def test_no_command_tells_a_secret(environ: dict[str, str], tmp_path: Path, command: str) -> None:
    issue(tmp_path / "tokens.json", "tenant", grant("reader", "default"))
    done = subprocess.run(
        [sys.executable, "-m", "sfm_server", command, "--json"],
        env={**environ, "SFM_DATA_FOLDER": str(tmp_path / "data"), "SFM_PORT": "0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout + done.stderr
    assert CANARY not in done.stdout + done.stderr


def test_nothing_that_holds_a_token_shows_it() -> None:
    settings = Settings.model_validate({"SOMA_API_TOKEN": ROOT, "MEMORY_MODE": "test"})
    assert CANARY not in f"{settings!r} {vars(Authority(settings))!r}"
