"""`configure.sh` writes `.env`, keeps what was there, and refuses what cannot work."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

import pytest

from sfm_server.loading import load_settings
from tests.compose_file import rendered

ROOT = Path(__file__).resolve().parents[2]
ODD = 'a=b$c `d` "e"'

Done: TypeAlias = "subprocess.CompletedProcess[str]"


HARD = [
    "pa$word#1 x",
    'ab$cd"e',
    "it's",
    'it\'s ${HOME} "and" $more #1',
    "a\\b",
    r"two\\\\back",
    " led and followed ",
    "`tick` $(ls) !x %y",
    "${HOME}",
    "plain-1.2_3:/@%+,=~?",
    "#",
]


class Checkout:
    """A folder with the script and its template."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = folder / ".env"
        for name in ("configure.sh", ".env.example"):
            shutil.copy(ROOT / name, folder)

    def configure(
        self, *options: str, answers: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        given = options if answers is not None else ("--non-interactive", *options)
        return subprocess.run(
            ["sh", "./configure.sh", *given],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin"},
            input=answers or "",
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def values(self) -> dict[str, str]:
        lines = self.env.read_text(encoding="utf-8").splitlines()
        pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
        return {name: value for name, _, value in pairs}

    @property
    def backups(self) -> list[Path]:
        return sorted(self.folder.glob(".env.backup-*"))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_without_options_it_is_the_template(checkout: Checkout) -> None:
    assert checkout.configure().returncode == 0
    assert checkout.env.read_text() == (ROOT / ".env.example").read_text()


def test_options_are_written_and_the_server_takes_them(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--mode", "evented_enterprise", "--token", "s3cret", "--workers", "2"]
    more = ["--set", "SFM_HISTORY_LIMIT=3", "--set", "SFM_CONSUMER_HANDLERS=indexer:,replica:x=y"]
    done = checkout.configure(*options, *more)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(checkout.folder)
    settings = load_settings(environ={}).settings
    assert (settings.memory_mode, settings.workers, settings.history_limit) == (
        "evented_enterprise",
        2,
        3,
    )
    assert settings.api_token is not None
    assert settings.api_token.get_secret_value() == "s3cret"
    assert checkout.values["SFM_CONSUMER_HANDLERS"] == "indexer:,replica:x=y"


@pytest.mark.parametrize("value", HARD)
def test_a_value_is_the_same_for_compose_the_server_and_the_script(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    shutil.copy(ROOT / "docker-compose.yml", checkout.folder)
    token = value.strip()  # the server takes no other
    done = checkout.configure("--token", token, "--set", f"KAFKA_SASL_PASSWORD={value}")
    assert done.returncode == 0, done.stderr
    # A second call carries over what the first has written.
    assert checkout.configure("--workers", "2").returncode == 0
    written = {"SOMA_API_TOKEN": token, "KAFKA_SASL_PASSWORD": value}

    # It doubles what it would otherwise replace when the answer is read again.
    told = rendered(checkout.folder)["services"]["api"]["environment"]
    assert {name: told[name].replace("$$", "$") for name in written} == written

    monkeypatch.chdir(checkout.folder)
    loaded = load_settings(environ={"HOME": "/home/of-somebody"})
    assert loaded.settings.api_token is not None
    assert loaded.settings.api_token.get_secret_value() == token
    assert loaded.options["KAFKA_SASL_PASSWORD"] == value


@pytest.mark.parametrize(
    "text", ["'evented_enterprise'", '"evented_enterprise"', "evented_enterprise # x"]
)
def test_what_somebody_has_quoted_is_understood(checkout: Checkout, text: str) -> None:
    checkout.env.write_text(f"MEMORY_MODE={text}\n")
    done = checkout.configure("--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "mode evented_enterprise" in done.stdout
    assert checkout.values["MEMORY_MODE"] == text


@pytest.mark.parametrize(
    "line",
    [
        "export SOMA_API_TOKEN=s3cret",
        "SOMA_API_TOKEN = s3cret",
        "\t SOMA_API_TOKEN='s3cret'",
        "SOMA_API_TOKEN=s3cret\r",
    ],
)
def test_no_token_is_lost_that_compose_and_the_server_read(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    checkout.env.write_text(f"{line}\nhttp_proxy=http://proxy\n", newline="")
    monkeypatch.chdir(checkout.folder)

    done = checkout.configure("--workers", "2")

    assert done.returncode == 0, done.stderr
    token = load_settings(environ={}).settings.api_token
    assert token is not None
    assert token.get_secret_value() == "s3cret"
    assert checkout.values["http_proxy"] == "http://proxy"


@pytest.mark.parametrize("text", ["SOMA_API_TOKEN: s3cret", 'KEYS="a\nb"', "KEYS='a\nb=c'"])
def test_a_file_that_it_could_not_carry_over_is_left_alone(checkout: Checkout, text: str) -> None:
    checkout.env.write_text(f"# mine\n\n{text}\n")
    done = checkout.configure("--workers", "2")
    assert done.returncode == 2
    assert f"Line 3 of {checkout.env} " in done.stderr
    assert checkout.env.read_text() == f"# mine\n\n{text}\n"


@pytest.mark.parametrize("before", [None, "POSTGRES_URL='postgresql://me:old@db:5433/x?y=1'\n"])
def test_a_password_of_the_database_is_told_to_it_and_to_who_logs_in(
    checkout: Checkout, before: str | None
) -> None:
    if before:
        checkout.env.write_text(before)
    done = checkout.configure("--postgres-password", "new")
    assert done.returncode == 0, done.stderr
    password = checkout.values["POSTGRES_PASSWORD"]
    assert len(password) == 64
    url = "me:{}@db:5433/x?y=1" if before else "postgres:{}@postgres:5433/somamemory"
    assert checkout.values["POSTGRES_URL"] == "postgresql://" + url.format(password)


def test_a_password_needs_somebody_who_logs_in_with_it(checkout: Checkout) -> None:
    checkout.env.write_text("POSTGRES_URL=postgresql://db:5433/memory\n")
    done = checkout.configure("--postgres-password", "new")
    assert done.returncode == 2
    assert "Name a user" in done.stderr


def test_only_the_owner_can_read_it(checkout: Checkout) -> None:
    checkout.configure("--token", "new")
    assert stat.S_IMODE(checkout.env.stat().st_mode) == 0o600
    assert len(checkout.values["SOMA_API_TOKEN"]) == 64


def test_only_the_owner_can_read_what_was_there(checkout: Checkout) -> None:
    shutil.copy(ROOT / ".env.example", checkout.env)
    checkout.env.chmod(0o644)
    checkout.configure("--token", "new")
    [backup] = checkout.backups
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (checkout.env, backup)]
    assert modes == [0o600, 0o600]


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        (".env", True),
        (".env.backup-20260101-000000", True),
        (".env.x1Yz2", True),
        (".env.example", False),
    ],
)
def test_secrets_are_not_committed(checkout: Checkout, name: str, ignored: bool) -> None:  # noqa: FBT001
    shutil.copy(ROOT / ".gitignore", checkout.folder)
    subprocess.run(["git", "init", "--quiet"], cwd=checkout.folder, check=True)
    asked = ["git", "check-ignore", "--quiet", name]
    assert (subprocess.run(asked, cwd=checkout.folder, check=False).returncode == 0) is ignored


def test_keys_are_made_as_the_template_says(checkout: Checkout) -> None:
    # The variable first, then the command that needs it.
    template = (ROOT / ".env.example").read_text()
    said = re.findall(r"Remove the #|run --rm --no-deps api (keys new first)`", template)
    assert said == ["", "keys new first"]
    [line] = re.findall(r"^# (SFM_ENCRYPTION_KEYS_FILE=.*)$", template, re.MULTILINE)
    place = checkout.folder / "keys.json"
    checkout.env.write_text(line.replace("/var/lib/somafractalmemory/keys.json", str(place)))

    made = subprocess.run(
        [sys.executable, "-m", "sfm_server", *said[1].split()],
        cwd=checkout.folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(checkout.folder)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.returncode == 0, made.stderr
    assert place.exists()


def test_what_was_there_is_kept_and_goes_on_to_hold(checkout: Checkout) -> None:
    before = 'MEMORY_MODE=embedded\nSOMA_API_TOKEN=a=b$c `d` "e"\nMINE=1\n'
    checkout.env.write_text(before)
    assert checkout.configure("--mode", "evented_enterprise").returncode == 0
    assert [one.read_text() for one in checkout.backups] == [before]
    assert checkout.values["MEMORY_MODE"] == "evented_enterprise"
    assert checkout.values["SOMA_API_TOKEN"] == ODD
    assert checkout.values["MINE"] == "1"


def test_two_changes_in_a_second_keep_two_backups(checkout: Checkout) -> None:
    for mode in ("embedded", "development", "evented_enterprise"):
        checkout.configure("--mode", mode)
    assert len(checkout.backups) == 2


def test_answers_are_asked_for_and_an_empty_one_keeps_what_is_proposed(checkout: Checkout) -> None:
    done = checkout.configure(answers="evented_enterprise\n\n3\n\n")
    assert done.returncode == 0, done.stderr
    assert checkout.values["MEMORY_MODE"] == "evented_enterprise"
    assert checkout.values["UVICORN_WORKERS"] == "3"
    assert "postgres:5433" in checkout.values["POSTGRES_URL"]


def test_secrets_are_not_shown_where_they_are_proposed(checkout: Checkout) -> None:
    url = "postgresql://me:hidden@db:5433/x"
    checkout.env.write_text(f"SOMA_API_TOKEN=s3cret\nPOSTGRES_URL={url}\n")
    done = checkout.configure(answers="evented_enterprise\n\n\n\n")
    assert done.returncode == 0, done.stderr
    assert "s3cret" not in done.stdout
    assert "hidden" not in done.stdout
    assert (checkout.values["SOMA_API_TOKEN"], checkout.values["POSTGRES_URL"]) == ("s3cret", url)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--mode", "dream"], "Choose one of: embedded"),
        (["--workers", "0"], "whole number"),
        (["--workers", "two"], "whole number"),
        (["--mode", "test", "--workers", "4"], "--workers 1"),
        (["--postgres-url", "localhost"], "postgresql://user"),
        (["--set", "lower=1"], "NAME=VALUE"),
        (["--set", "SFM_Port=1"], "capital letters"),
        (["--set", "SFM-PORT=1"], "capital letters"),
        (["--mode"], "needs a value"),
        (["--token", "a\nb"], "line break"),
        (["--token", "a\\"], "backslash"),
        (["--token", "a\\'b"], "backslash"),
        (["--postgres-password", "a/b"], "letters, digits"),
        (["--postgres-password", "a", "--postgres-url", "postgresql://h"], "a URL has its own"),
        (["--colour", "red"], "no option --colour"),
    ],
)
def test_what_cannot_work_is_refused_and_changes_nothing(
    checkout: Checkout, options: list[str], named: str
) -> None:
    checkout.env.write_text("MEMORY_MODE=embedded\n")
    done = checkout.configure(*options)
    assert done.returncode == 2
    assert named in done.stderr
    assert checkout.env.read_text() == "MEMORY_MODE=embedded\n"
    assert sorted(one.name for one in checkout.folder.iterdir()) == [
        ".env",
        ".env.example",
        "configure.sh",
    ]


def test_nobody_who_answers_is_an_error_and_not_a_wait(checkout: Checkout) -> None:
    done = checkout.configure(answers="")
    assert done.returncode == 2
    assert "--non-interactive" in done.stderr
