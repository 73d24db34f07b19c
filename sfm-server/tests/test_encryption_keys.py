"""The file of keys, and what happens when it changes."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from sfm_core.errors import ConfigurationError, EncryptionKeyError
from sfm_core.testing.clock import ManualClock
from sfm_server.cli.main import run
from sfm_server.encryption.keeping import add_key, destroy_key
from sfm_server.encryption.key_file import is_exposed
from sfm_server.encryption.key_format import parse_keys
from sfm_server.encryption.settings import EncryptionSettings
from sfm_server.encryption.watching import WatchedKeys, keys_of

NOW = datetime(2026, 2, 3, tzinfo=UTC)
SECOND = timedelta(seconds=1)
Sfm = Callable[..., str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def watched(file: Path, clock: ManualClock) -> WatchedKeys:
    add_key(file, "one", namespace=None, at=NOW)
    return WatchedKeys(file, clock)


@pytest.fixture
def sfm(file: Path, capfd: pytest.CaptureFixture[str]) -> Sfm:
    def call(*arguments: str, status: int = 0) -> str:
        assert run(["keys", *arguments, "--file", str(file)]) == status
        return capfd.readouterr().out

    return call


async def newest(keys: WatchedKeys) -> str:
    return (await keys.fresh()).newest_for("n", "memory").id


def spoil(file: Path, slip: str) -> None:
    match slip:
        case "gone":
            file.unlink()
        case "broken":
            file.write_text('{"version": 1, "keys": [{"id": "one", "key": "c2VjcmV0"}]}')
        case _:
            file.chmod(0o640)


@pytest.mark.parametrize(
    ("permissions", "owner", "user", "exposed"),
    [
        (0o600, 1000, 1000, False),
        (0o400, 0, 0, False),
        (0o640, 1000, 1000, True),
        (0o440, 0, 0, True),
        # As a secret is mounted: root's, for the group of the user.
        (0o440, 0, 1000, False),
        (0o460, 0, 1000, True),
        (0o444, 0, 1000, True),
    ],
)
def test_the_group_may_read_what_root_has_put_there_for_another(
    permissions: int, owner: int, user: int, *, exposed: bool
) -> None:
    assert is_exposed(permissions, owner=owner, user=user) is exposed


class TestCommands:
    def test_a_new_key_is_random_and_never_shown(self, sfm: Sfm, file: Path) -> None:
        shown = sfm("new", "one") + sfm("new", "two", "--for", "tenant") + sfm("list")
        one, two = (entry["key"] for entry in json.loads(file.read_text())["keys"])
        assert one != two
        assert len(base64.b64decode(one)) == len(base64.b64decode(two)) == 32
        assert one not in shown

    def test_the_file_is_for_its_owner_alone(self, sfm: Sfm, file: Path) -> None:
        sfm("new", "one")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_the_list_says_what_each_is_for(self, sfm: Sfm) -> None:
        sfm("new", "one")
        sfm("new", "own", "--for", "tenant")
        listed = json.loads(sfm("list", "--json"))
        assert [(key["id"], key["namespace"]) for key in listed] == [
            ("one", None),
            ("own", "tenant"),
        ]

    def test_an_id_is_given_once(self, sfm: Sfm, file: Path) -> None:
        sfm("new", "one")
        before = file.read_text()
        assert run(["keys", "new", "one", "--file", str(file)]) != 0
        assert file.read_text() == before


class TestWatching:
    async def test_a_new_key_is_used_without_a_restart(
        self, watched: WatchedKeys, file: Path, clock: ManualClock
    ) -> None:
        assert await newest(watched) == "one"
        add_key(file, "two", namespace=None, at=NOW)
        await clock.advance(SECOND)
        assert await newest(watched) == "two"

    async def test_a_key_that_has_just_come_is_found_at_once(
        self, watched: WatchedKeys, file: Path
    ) -> None:
        await watched.fresh()
        add_key(file, "two", namespace=None, at=NOW)
        assert (await watched.find("two", "memory")).id == "two"

    async def test_a_destroyed_key_is_out_of_force(
        self, watched: WatchedKeys, file: Path, clock: ManualClock
    ) -> None:
        await watched.fresh()
        destroy_key(file, "one", at=NOW)
        await clock.advance(SECOND)
        with pytest.raises(EncryptionKeyError, match="destroyed"):
            await newest(watched)

    @pytest.mark.parametrize("slip", ["gone", "broken", "open to others"])
    async def test_a_slip_leaves_the_keys_in_force(
        self, watched: WatchedKeys, file: Path, clock: ManualClock, slip: str
    ) -> None:
        await watched.fresh()
        spoil(file, slip)
        await clock.advance(SECOND)
        assert await newest(watched) == "one"

    @pytest.mark.parametrize("slip", ["gone", "broken", "open to others"])
    async def test_a_start_on_such_a_file_is_refused(
        self, watched: WatchedKeys, file: Path, slip: str
    ) -> None:
        spoil(file, slip)
        with pytest.raises(ConfigurationError) as caught:
            await watched.fresh()
        assert caught.value.setting == "SFM_ENCRYPTION_KEYS_FILE"
        assert "c2VjcmV0" not in str(caught.value)


class TestVariable:
    def test_the_last_key_is_the_newest(self) -> None:
        secret = base64.b64encode(b"1" * 32).decode()
        ring = parse_keys(f"one:{secret}, two:{secret}")
        assert ring.newest_for("n", "memory").id == "two"

    @pytest.mark.parametrize("text", ["one", "one:", "one:c2VjcmV0", "one:???", "o/e:c2VjcmV0"])
    def test_a_malformed_one_is_refused_without_being_shown(self, text: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            parse_keys(text)
        assert "c2VjcmV0" not in str(caught.value)

    def test_it_excludes_the_file(self, file: Path, clock: ManualClock) -> None:
        settings = EncryptionSettings.model_construct(
            encryption_keys_file=file, encryption_keys=SecretStr("one:")
        )
        with pytest.raises(ConfigurationError, match="both set"):
            keys_of(settings, clock)
