"""The file of tokens: how it is edited, and how a server keeps up with it."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fix_serving import Serve, start
from tenant_tokens import grant, is_refused, issue

from sfm_core.errors import ConfigurationError
from sfm_core.testing.clock import ManualClock
from sfm_server.access.authority import Authority
from sfm_server.access.roles import Role
from sfm_server.access.token_file import read_tokens
from sfm_server.access.token_format import decode_tokens
from sfm_server.access.tokens import parse_grant
from sfm_server.cli.exits import Exit
from sfm_server.cli.main import run
from sfm_server.problems import UnauthorizedError
from sfm_server.settings import Settings

Sfm = Callable[..., str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def sfm(file: Path, capfd: pytest.CaptureFixture[str]) -> Sfm:
    """Calls a command on the file, and returns what it prints."""

    def call(*arguments: str, status: int = 0) -> str:
        assert run(["tokens", *arguments, "--file", str(file)]) == status
        return capfd.readouterr().out

    return call


class TestCommands:
    def test_a_new_token_is_printed_once_and_kept_as_a_digest(self, sfm: Sfm, file: Path) -> None:
        token = sfm("new", "agent-1", "--writer", "a").strip()
        assert re.fullmatch(r"sfm_[A-Za-z0-9_-]{43}", token)
        assert token not in file.read_text()
        assert token not in sfm("list")

    def test_the_file_is_for_its_owner_alone(self, sfm: Sfm, file: Path) -> None:
        sfm("new", "agent-1", "--writer", "a")
        file.chmod(0o644)
        sfm("new", "agent-2", "--reader", "*")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_the_list_says_what_each_token_allows(self, sfm: Sfm) -> None:
        sfm("new", "agent-1", "--reader", "shared", "--writer", "team/*", "--days", "1")
        [one] = json.loads(sfm("list", "--json"))
        assert one["grants"] == ["reader:shared", "writer:team/*"]
        assert one["expired"] is False
        assert datetime.fromisoformat(one["expires_at"]) > datetime.now(UTC)

    def test_a_revoked_token_is_gone(self, sfm: Sfm, file: Path) -> None:
        sfm("new", "agent-1", "--writer", "a")
        sfm("new", "agent-2", "--writer", "a")
        sfm("revoke", "agent-1")
        assert [one.id for one in read_tokens(file)[0]] == ["agent-2"]
        sfm("revoke", "agent-1", status=3)

    @pytest.mark.parametrize(
        "arguments",
        [
            ("agent-1",),
            ("a/b", "--writer", "x"),
            ("", "--writer", "x"),
            ("x" * 65, "--writer", "x"),
            ("agent-1", "--writer", ""),
            ("agent-1", "--writer", "x" * 200),
            ("agent-1", "--writer", "x", "--days", "0"),
            ("agent-1", "--writer", "x", "--days", "nan"),
        ],
    )
    def test_a_token_that_makes_no_sense_is_not_made(
        self, sfm: Sfm, file: Path, arguments: tuple[str, ...]
    ) -> None:
        sfm("new", *arguments, status=2)
        assert not file.exists()

    def test_two_tokens_of_one_name_are_refused(self, sfm: Sfm) -> None:
        sfm("new", "agent-1", "--writer", "a")
        sfm("new", "agent-1", "--writer", "a", status=6)

    def test_a_broken_file_is_not_overwritten(self, sfm: Sfm, file: Path) -> None:
        file.write_text("{")
        sfm("new", "agent-1", "--writer", "a", status=6)
        assert file.read_text() == "{"

    def test_editors_at_once_lose_nothing(self, file: Path) -> None:
        def add(number: int) -> None:
            issue(file, f"agent-{number}", grant("reader", "a"))

        threads = [threading.Thread(target=add, args=[number]) for number in range(12)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(read_tokens(file)[0]) == 12
        assert {path.name for path in file.parent.iterdir()} >= {file.name}
        assert not list(file.parent.glob(".tokens.json.????*[0-9a-f]"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"version": 2, "tokens": []}',
        b'{"version": 1, "tokens": [{"id": "a", "sha256": "short", "grants": []}]}',
        b'{"version": 1, "tokens": [], "more": 1}',
        b'{"version": 1, "tokens": [{"id": "a", "sha256": "%s", "grants": [{"role": "god"}]}]}'
        % (b"0" * 64),
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_none_is_told_by_one_error(content: bytes) -> None:
    with pytest.raises(ConfigurationError) as caught:
        decode_tokens(content)
    assert caught.value.setting == "SFM_TOKENS_FILE"


def test_an_error_about_the_file_holds_nothing_of_it() -> None:
    content = b'{"version": 1, "tokens": [{"id": "a", "sha256": "sfm_canary", "grants": []}]}'
    with pytest.raises(ConfigurationError) as caught:
        decode_tokens(content)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "names", "prefixes"),
    [("a", ("a",), ()), ("a*", (), ("a",)), ("*", (), ("",)), ("a/b c", ("a/b c",), ())],
)
def test_a_star_at_the_end_stands_for_all_that_begin_so(
    text: str, names: tuple[str, ...], prefixes: tuple[str, ...]
) -> None:
    found = parse_grant(Role.READER, text)
    assert (found.namespaces, found.prefixes) == (names, prefixes)


def rewrite(file: Path, change: Callable[[bytes], bytes]) -> bytes:
    """Change a file in its place, and return what was in it."""
    before = file.read_bytes()
    file.write_bytes(change(before))
    return before


def remove(file: Path) -> None:
    file.unlink()


class TestKeepingUp:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def header(self, file: Path) -> dict[str, str]:
        return issue(file, "first", grant("writer", "a"))

    @pytest.fixture
    async def authority(
        self, file: Path, clock: ManualClock, header: dict[str, str]
    ) -> AsyncGenerator[Authority]:
        del header
        made = Authority(Settings(memory_mode="test", tokens_file=file), clock=clock)
        async with made.watching():
            yield made

    async def name_of(self, authority: Authority, header: dict[str, str]) -> str:
        sent = [(name.lower().encode(), value.encode()) for name, value in header.items()]
        try:
            return (await authority.identify(sent)).id
        except UnauthorizedError:
            return ""

    async def test_a_new_token_is_good_and_a_revoked_one_is_not(
        self, authority: Authority, file: Path, header: dict[str, str]
    ) -> None:
        second = issue(file, "second", grant("reader", "a"))
        authority.look()
        assert await self.name_of(authority, second) == "second"
        assert run(["tokens", "revoke", "first", "--file", str(file)]) == 0
        authority.look()
        assert await self.name_of(authority, header) == ""
        assert authority.trouble == ""

    async def test_a_broken_file_leaves_the_last_good_one_in_force(
        self,
        authority: Authority,
        file: Path,
        header: dict[str, str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        whole = rewrite(file, lambda content: content[:-20])
        for _ in range(3):
            authority.look()
        assert await self.name_of(authority, header) == "first"
        assert "what it said before stays in force" in authority.trouble
        assert caplog.text.count("cannot be used") == 2
        rewrite(file, lambda _: whole)
        authority.look()
        assert authority.trouble == ""

    async def test_a_file_that_is_gone_leaves_nothing_in_force(
        self, authority: Authority, file: Path, header: dict[str, str]
    ) -> None:
        remove(file)
        authority.look()
        assert await self.name_of(authority, header) == ""
        assert "is gone" in authority.trouble

    async def test_an_expired_token_is_refused_without_anybody_doing_anything(
        self, authority: Authority, file: Path, clock: ManualClock
    ) -> None:
        short = issue(
            file, "short", grant("reader", "a"), expires_at=clock.now() + timedelta(seconds=10)
        )
        authority.look()
        assert await self.name_of(authority, short) == "short"
        await clock.advance(timedelta(seconds=10))
        assert await self.name_of(authority, short) == ""

    @pytest.fixture
    def coarse(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Files on a disk that notes times in whole minutes."""

        def signature(found: os.stat_result) -> tuple[int, int, int, int]:
            minutes = int(found.st_mtime // 60), int(found.st_ctime // 60)
            return found.st_ino, found.st_size, *minutes

        monkeypatch.setattr("sfm_server.whole_file._signature", signature)

    @pytest.mark.usefixtures("coarse")
    async def test_a_change_that_follows_at_once_on_another_is_seen_whatever_its_time(
        self, authority: Authority, file: Path, header: dict[str, str]
    ) -> None:
        rewrite(file, lambda content: content.replace(b'"first"', b'"other"'))
        authority.look()
        assert await self.name_of(authority, header) == "other"

    async def test_who_was_known_is_known_no_longer_when_the_token_is_changed(
        self, authority: Authority, file: Path, header: dict[str, str]
    ) -> None:
        sent = [(b"authorization", header["Authorization"].encode())]
        caller = await authority.identify(sent)
        assert authority.admits(caller)
        rewrite(file, lambda content: content.replace(b'"writer"', b'"reader"'))
        authority.look()
        assert not authority.admits(caller)


async def test_a_pipe_in_its_place_holds_nothing_up(tmp_path: Path) -> None:
    pipe = tmp_path / "tokens.json"
    os.mkfifo(pipe)
    authority = Authority(Settings(memory_mode="test", tokens_file=pipe))
    with pytest.raises(ConfigurationError):
        async with authority.watching():
            pass


def test_a_start_without_the_file_is_refused_in_one_line(tmp_path: Path) -> None:
    environ = {"SFM_TOKENS_FILE": str(tmp_path / "none.json"), "MEMORY_MODE": "test"}
    server = start(tmp_path / "here", environ=environ, wait=False)
    assert server.process.wait(120) == 6
    log = server.log.read_text()
    assert log.count("There is no file of tokens") == 1
    assert "Traceback" not in log


def test_the_doctor_looks_at_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFM_TOKENS_FILE", str(tmp_path / "none.json"))
    monkeypatch.setenv("MEMORY_MODE", "test")
    assert run(["doctor", "--json"]) == Exit.FOUND_PROBLEMS
    assert "There is no file of tokens" in capfd.readouterr().out


def test_a_file_that_others_can_write_is_told(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    issue(file, "first", grant("writer", "a"))
    file.chmod(0o660)
    Authority(Settings(memory_mode="test", tokens_file=file)).load()
    assert "can be written by others" in caplog.text


def test_a_running_server_keeps_up_with_the_file(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    header = issue(file, "first", grant("reader", "default"))
    root = {"Authorization": "Bearer of-the-operator"}
    server = serve(
        SFM_TOKENS_FILE=str(file),
        SOMA_API_TOKEN="of-the-operator",  # noqa: S106 - it guards nothing
        MEMORY_MODE="test",
        EVENTING_ENABLED="true",
    )

    def ask(headers: dict[str, str]) -> httpx.Response:
        return httpx.get(f"{server.url}/stats", headers=headers, timeout=30)

    assert ask(header).is_success
    second = issue(file, "second", grant("reader", "default"))
    while not ask(second).is_success:
        pass
    with httpx.stream("GET", f"{server.url}/events", headers=second, timeout=30) as stream:
        told = stream.iter_lines()
        next(told)
        file.unlink()
        while ask(second).is_success:
            pass
        body: dict[str, object] = {"coord": "1", "payload": {}}
        assert httpx.post(f"{server.url}/store", json=body, headers=root, timeout=30).is_success
        assert "memory.stored" not in "".join(told)
    assert is_refused(ask(header), 401)
    ready = httpx.get(f"{server.url}/readyz", timeout=30).json()
    health = httpx.get(f"{server.url}/health", timeout=30).json()
    assert (ready["status"], health["status"]) == ("degraded", "degraded")
    assert "gone" in ready["hint"]
    assert str(tmp_path) not in str((ready, health))
