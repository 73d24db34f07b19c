"""Rotation and erasing, by the commands and while others write."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from sfm_core.errors import BackendUnavailableError, EncryptionKeyError
from sfm_core.inprocess import InProcessKeyValueStore, KeyValueState
from sfm_core.model.keys import KeyRange
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.model.sealed import sealed_with
from sfm_core.protocols.kv import Commit, CommitResult, Entry, KeyValueStore, Write
from sfm_server.cli.exits import Exit
from sfm_server.cli.main import run
from sfm_server.encryption.ring import KeyRing, MasterKey
from sfm_server.encryption.rotating import Rotated, Rotation
from sfm_server.encryption.store import EncryptedKeyValueStore
from sfm_server.encryption.watching import GivenKeys

ONE = MasterKey(id="one", secret=b"1" * 32)
TWO = MasterKey(id="two", secret=b"2" * 32)
BOTH = GivenKeys(KeyRing([ONE, TWO]))
KEYS = [b"%03d" % number for number in range(120)]
Sfm = Callable[..., str]


async def commit(store: KeyValueStore, *writes: Write) -> list[CommitResult]:
    put = Commit(namespace="n", writes=writes)
    return await store.commit([put], owner="test", lease=timedelta(seconds=1))


def files_with(folder: Path, *words: bytes) -> list[str]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in found if any(word in path.read_bytes() for word in words)]


def keys_in(findings: str) -> list[tuple[str, str, str]]:
    return [
        (one["check"], one["verdict"], one["detail"])
        for one in json.loads(findings)
        if one["check"].startswith("keys")
    ]


class Overtaken(InProcessKeyValueStore):
    """A store in which somebody writes an entry just before the first commit of a rotation."""

    writer: EncryptedKeyValueStore | None = None

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        writer, self.writer = self.writer, None
        if writer is not None and commits[0].namespace == "n":
            await commit(writer, Write(KEYS[0], b"newer", 2))
        elif writer is not None:
            self.writer = writer
        return await super().commit(commits, owner=owner, lease=lease)


class Failing(InProcessKeyValueStore):
    """A store that is lost in the middle of a rotation, after a commit whose reply is lost too."""

    commits_left: int | None = None

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        done = await super().commit(commits, owner=owner, lease=lease)
        if self.commits_left is not None and commits[0].namespace == "n":
            self.commits_left -= 1
            if self.commits_left < 0:
                raise BackendUnavailableError("It is gone.", backend=self.scheme)
        return done


class TestRotation:
    async def test_one_that_was_interrupted_goes_on_where_it_was(self) -> None:
        async with Failing(state=KeyValueState()) as raw:
            old = EncryptedKeyValueStore(raw, GivenKeys(KeyRing([ONE])))
            many = [b"%04d" % number for number in range(1300)]
            for at in range(0, len(many), 100):
                await commit(old, *(Write(key, key, 3) for key in many[at : at + 100]))
            raw.commits_left = 1
            with pytest.raises(BackendUnavailableError):
                await Rotation(raw, BOTH).run()
            raw.commits_left = None
            both = EncryptedKeyValueStore(raw, BOTH)
            [found] = await both.scan("n", [KeyRange(b"", None)], limit=10_000)
            assert found == [(key, Entry(key, 3)) for key in many]
            done = await Rotation(raw, BOTH).run()
            assert done.encrypted + done.unchanged == len(many)
            assert done.encrypted < len(many)
            [found] = await both.scan("n", [KeyRange(b"", None)], limit=10_000)
            assert found == [(key, Entry(key, 3)) for key in many]

    async def test_everything_is_under_the_newest_key_and_as_it_was(self) -> None:
        async with InProcessKeyValueStore(state=KeyValueState()) as raw:
            old = EncryptedKeyValueStore(raw, GivenKeys(KeyRing([ONE])))
            await commit(old, *(Write(key, key, 7) for key in KEYS), Write(b"empty", b"", 1))
            done = await Rotation(raw, BOTH).run()
            assert done == Rotated(encrypted=120, unchanged=1, overtaken=0, unreadable={})
            held = await raw.get_many("n", KEYS)
            assert {sealed_with(entry.value) for entry in held if entry} == {"two"}
            new = EncryptedKeyValueStore(raw, GivenKeys(KeyRing([TWO])))
            assert await new.get_many("n", KEYS) == [Entry(key, 7) for key in KEYS]

    async def test_a_second_one_changes_nothing(self) -> None:
        async with InProcessKeyValueStore(state=KeyValueState()) as raw:
            await commit(raw, *(Write(key, key, 1) for key in KEYS))
            assert (await Rotation(raw, BOTH).run()).encrypted == len(KEYS)
            assert (await Rotation(raw, BOTH).run()).encrypted == 0

    async def test_what_is_from_before_there_were_keys_is_encrypted(self) -> None:
        async with InProcessKeyValueStore(state=KeyValueState()) as raw:
            await commit(raw, Write(b"k", b"plain", 1))
            await Rotation(raw, BOTH).run()
            strict = EncryptedKeyValueStore(raw, BOTH)
            assert await strict.get_many("n", [b"k"]) == [Entry(b"plain", 1)]

    async def test_what_somebody_writes_meanwhile_stays(self) -> None:
        async with Overtaken(state=KeyValueState()) as raw:
            await commit(raw, *(Write(key, key, 1) for key in KEYS))
            raw.writer = EncryptedKeyValueStore(raw, BOTH)
            done = await Rotation(raw, BOTH).run()
            assert done.overtaken == 0
            store = EncryptedKeyValueStore(raw, BOTH)
            assert await store.get_many("n", KEYS[:2]) == [Entry(b"newer", 2), Entry(KEYS[1], 1)]

    async def test_a_namespace_that_cannot_be_read_keeps_no_other_back(self) -> None:
        async with InProcessKeyValueStore(state=KeyValueState()) as raw:
            lost = EncryptedKeyValueStore(
                raw, GivenKeys(KeyRing([MasterKey(id="lost", secret=b"9" * 32)]))
            )
            await commit(lost, Write(b"k", b"v", 1))
            put = Commit(namespace="o", writes=(Write(b"k", b"v", 1),))
            await raw.commit([put], owner="test", lease=timedelta(seconds=1))
            done = await Rotation(raw, BOTH).run()
            assert list(done.unreadable) == ["n"]
            assert "'lost'" in done.unreadable["n"]
            assert done.encrypted == 1


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SFM_DATA_FOLDER", str(tmp_path / "data"))
    monkeypatch.setenv("SFM_EMBEDDER_URL", "hashing:")
    monkeypatch.setenv("SFM_VECTOR_CONTENT", "none")
    monkeypatch.setenv("SFM_ENCRYPTION_KEYS_FILE", str(tmp_path / "keys.json"))
    return tmp_path / "keys.json"


@pytest.fixture
def sfm(file: Path, capfd: pytest.CaptureFixture[str]) -> Sfm:
    """Calls a command on an encrypted memory, and returns what it says."""
    assert not file.exists()

    def call(*arguments: str, status: int = Exit.OK) -> str:
        found = run(arguments)
        out, err = capfd.readouterr()
        assert found == status, err
        return out or err

    return call


class TestCommands:
    def test_keys_are_exchanged_and_nothing_is_lost(self, sfm: Sfm, file: Path) -> None:
        sfm("keys", "new", "one")
        sfm("store", "A whale.", "--coord", "1")
        sfm("keys", "new", "two")
        sfm("keys", "destroy", "one", status=Exit.CONFIGURATION)
        sfm("keys", "rotate")
        sfm("keys", "destroy", "one")
        assert json.loads(file.read_text())["keys"][0]["key"] == ""
        assert "A whale." in sfm("get", "1")
        assert "A whale." in sfm("recall", "whale")
        sfm("check")

    def test_the_key_that_is_written_with_cannot_be_destroyed(self, sfm: Sfm) -> None:
        sfm("keys", "new", "one")
        sfm("store", "A whale.", "--coord", "1")
        sfm("keys", "destroy", "one", "--erase", status=Exit.CONFIGURATION)
        assert "A whale." in sfm("get", "1")

    def test_destroying_the_key_of_a_namespace_erases_it_alone(self, sfm: Sfm) -> None:
        sfm("keys", "new", "one")
        sfm("keys", "new", "own", "--for", "tenant")
        sfm("store", "A whale.", "--coord", "1")
        sfm("store", "A fox.", "--coord", "1", "-n", "tenant")
        sfm("keys", "destroy", "own", status=Exit.CONFIGURATION)
        assert "A fox." in sfm("get", "1", "-n", "tenant")
        assert "were removed" in sfm("keys", "destroy", "own", "--erase")
        sfm("get", "1", "-n", "tenant", status=Exit.NOT_FOUND)
        sfm("check")
        assert json.loads(sfm("stats", "-n", "tenant", "--json"))["total_memories"] == 0
        assert "A whale." in sfm("recall", "whale")
        assert "'own'" in sfm("store", "A hen.", "--coord", "1", "-n", "tenant", status=Exit.FAILED)

    def test_what_is_erased_is_gone_from_every_file_and_every_store_is_reported(
        self, sfm: Sfm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("SFM_VECTOR_CONTENT", "full")
        sfm("keys", "new", "one")
        sfm("keys", "new", "own", "--for", "tenant")
        sfm("store", "A whale.", "--coord", "1")
        for text in ("A xylocarpous fox.", "A quomodocunquizing xylocarpous fox."):
            sfm("store", text, "--coord", "1", "-n", "tenant")
        assert files_with(tmp_path, b"xylocarpous")
        done = json.loads(sfm("keys", "destroy", "own", "--erase", "--json"))
        assert (done["namespaces"], done["pending"]) == (["tenant"], False)
        states = {one["store"]: one["state"] for one in done["stores"]}
        assert (states["truth"], states["vectors"], states["graph"]) == ("removed",) * 3
        assert states["backups"] == "remains"
        assert files_with(tmp_path, b"xylocarpous", b"quomodocunquizing") == []
        assert "truth" in sfm("keys", "destroy", "own", "--erase")

    def test_stores_that_cannot_be_opened_are_left_to_the_servers(
        self, sfm: Sfm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sfm("keys", "new", "one")
        sfm("keys", "new", "own", "--for", "tenant")
        sfm("store", "A fox.", "--coord", "1", "-n", "tenant")
        monkeypatch.setenv("SFM_VECTOR_URL", "qdrant+local:/dev/null/here")
        done = json.loads(sfm("keys", "destroy", "own", "--erase", "--json"))
        assert done["pending"]
        assert [one["store"] for one in done["stores"]] == ["all"]
        monkeypatch.delenv("SFM_VECTOR_URL")
        assert not json.loads(sfm("keys", "destroy", "own", "--erase", "--json"))["pending"]

    def test_the_doctor_tells_about_keys_and_shows_none(self, sfm: Sfm, file: Path) -> None:
        sfm("keys", "new", "one")
        sfm("keys", "new", "own", "--for", "tenant")
        sfm("store", "A fox.", "--coord", "1", "-n", "tenant")
        assert keys_in(sfm("doctor", "--json")) == [("keys", "ok", "2 given, 0 destroyed")]
        held = json.loads(file.read_text())
        file.write_text(json.dumps({**held, "keys": held["keys"][:1]}))
        said = sfm("doctor", "--json", status=Exit.FOUND_PROBLEMS)
        [(check, verdict, detail)] = keys_in(said)
        assert (check, verdict) == ("keys of tenant", "warning")
        assert "'own'" in detail
        assert not any(key["key"] in said for key in held["keys"])
        file.chmod(0o644)
        assert "chmod 600" in sfm("doctor", status=Exit.FOUND_PROBLEMS)

    def test_without_keys_an_encrypted_memory_is_not_opened(
        self, sfm: Sfm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sfm("keys", "new", "one")
        sfm("store", "A whale.", "--coord", "1")
        monkeypatch.delenv("SFM_ENCRYPTION_KEYS_FILE")
        assert "'one'" in sfm("get", "1", status=Exit.FAILED)
        assert "'one'" in sfm("store", "A fox.", "--coord", "2", status=Exit.FAILED)

    def test_a_memory_from_before_is_encrypted_by_a_rotation(
        self, sfm: Sfm, monkeypatch: pytest.MonkeyPatch, file: Path
    ) -> None:
        monkeypatch.delenv("SFM_ENCRYPTION_KEYS_FILE")
        sfm("store", "A whale.", "--coord", "1")
        monkeypatch.setenv("SFM_ENCRYPTION_KEYS_FILE", str(file))
        sfm("keys", "new", "one")
        sfm("get", "1", status=Exit.FAILED)
        sfm("keys", "rotate")
        assert "A whale." in sfm("get", "1")

    def test_a_move_encrypts_anew_and_verifies(
        self, sfm: Sfm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        sfm("keys", "new", "one")
        sfm("store", "A whale.", "--coord", "1")
        there = f"sqlite:{tmp_path / 'there.db'}"
        assert "Verified" in sfm("migrate", "embedded", there)
        monkeypatch.setenv("SFM_KV_URL", there)
        assert "A whale." in sfm("get", "1")
        assert b"whale" not in (tmp_path / "there.db").read_bytes()


async def test_the_engines_own_entries_are_rotated_too() -> None:
    async with InProcessKeyValueStore(state=KeyValueState()) as raw:
        old = EncryptedKeyValueStore(raw, GivenKeys(KeyRing([ONE])))
        put = Commit(namespace=SYSTEM_NAMESPACE, writes=(Write(b"manifest", b"{}", 1),))
        await old.commit([put], owner="test", lease=timedelta(seconds=1))
        await Rotation(raw, BOTH).run()
        new = EncryptedKeyValueStore(raw, GivenKeys(KeyRing([TWO])))
        assert await new.get_many(SYSTEM_NAMESPACE, [b"manifest"]) == [Entry(b"{}", 1)]
        with pytest.raises(EncryptionKeyError):
            await old.get_many(SYSTEM_NAMESPACE, [b"manifest"])
