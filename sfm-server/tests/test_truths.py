"""Memories follow their installation from one truth to the next."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeAlias, cast

import pytest

from sfm_core.engine.changeover import migrate
from sfm_core.errors import ConfigurationError, SupersededError
from sfm_core.hookspecs import hookimpl
from sfm_core.inprocess import HashingEmbedder
from sfm_core.protocols.embedder import Embedder
from sfm_core.registry import BackendContext, Register
from sfm_server.assembly import open_memory
from sfm_server.cli.exits import Exit
from sfm_server.cli.main import run
from sfm_server.loading import load_settings
from sfm_server.selection import Selection, select
from sfm_server.truths import LastTruth, other_truths, read_last, truth_at, truth_maker

Row: TypeAlias = dict[str, object]
Document: TypeAlias = Row | list[Row]
Call = Callable[..., Row]
OLD, NEW = "sqlite:old.db", "sqlite:new.db"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SFM_DATA_FOLDER", str(tmp_path / "data"))
    monkeypatch.setenv("SFM_EMBEDDER_URL", "hashing:")
    return tmp_path / "data"


@pytest.fixture
def sfm(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Call]:
    """Calls commands on a truth, with another one that memories may have been in before."""

    def on(kv: str, *former: str) -> Call:
        def call(*arguments: str, status: int = Exit.OK) -> dict[str, object]:
            monkeypatch.setenv("SFM_KV_URL", kv)
            monkeypatch.setenv("SFM_FORMER_KV_URLS", ",".join(former))
            found = run([*arguments, "--json"])
            out, err = capfd.readouterr()
            assert found == status, err
            document: Document = json.loads(out or err.splitlines()[-1])
            return {"listed": document} if isinstance(document, list) else document

        return call

    assert not folder.exists()
    return on


def listed(answer: Row) -> list[Row]:
    return cast("list[Row]", answer["listed"])


def selection(**variables: str) -> Selection:
    loaded = load_settings({"MEMORY_MODE": "embedded", **variables})
    return select(loaded.settings, options=loaded.options)


def test_a_memory_is_found_in_the_truth_that_comes_after(sfm: Callable[..., Call]) -> None:
    sfm(OLD)("store", "tea with milk", "--coord", "1,2")
    assert sfm(NEW, OLD)("get", "1,2")["payload"] == {"text": "tea with milk"}


def test_the_way_back_takes_along_what_was_written_meanwhile(sfm: Callable[..., Call]) -> None:
    old, new = sfm(OLD, NEW), sfm(NEW, OLD)
    old("store", "tea", "--coord", "1")
    new("store", "coffee", "--coord", "1")
    assert (old("get", "1")["payload"], old("get", "1")["version"]) == ({"text": "coffee"}, 2)


def test_without_the_newer_truth_a_start_is_refused(sfm: Callable[..., Call], folder: Path) -> None:
    sfm(OLD)("store", "tea", "--coord", "1")
    sfm(NEW, OLD)("store", "coffee", "--coord", "1")
    for file in folder.glob("new.db*"):
        file.unlink()

    problem = sfm(OLD)("get", "1", status=Exit.CONFIGURATION)["error"]
    assert "sqlite:new.db" in str(problem)
    sfm(OLD)("truths", "--adopt")
    assert sfm(OLD)("get", "1")["payload"] == {"text": "tea"}


def test_the_data_folder_remembers_which_truth_was_used_last(
    sfm: Callable[..., Call], folder: Path
) -> None:
    sfm(OLD)("store", "tea", "--coord", "1")
    last = read_last(folder)
    assert isinstance(last, LastTruth)
    assert last.place == OLD


def test_the_data_folder_remembers_that_a_truth_was_gone_back_to(
    sfm: Callable[..., Call], folder: Path
) -> None:
    sfm(OLD)("store", "tea", "--coord", "1")
    before = read_last(folder)
    sfm(OLD)("truths", "--adopt")
    after = read_last(folder)
    assert before
    assert after
    assert after.epoch > before.epoch > 0


def test_a_record_that_cannot_be_read_is_no_record(folder: Path) -> None:
    folder.mkdir()
    (folder / "truth.json").write_text("{")
    assert read_last(folder) is None


def test_a_migration_by_hand_ends_with_counts_and_a_digest(sfm: Callable[..., Call]) -> None:
    sfm(OLD)("store", "tea", "--coord", "1")
    rehearsed = sfm(NEW)("migrate", OLD, NEW, "--dry-run")
    moved = sfm(NEW)("migrate", OLD, NEW)
    again = sfm(NEW)("migrate", OLD, NEW)

    assert rehearsed["written"] == moved["written"]
    verified = moved["verified"]
    assert isinstance(verified, dict)
    assert verified["memories"] == 1
    assert again["verified"] is None
    assert sfm(NEW)("get", "1")["payload"] == {"text": "tea"}


def test_a_truth_that_was_migrated_takes_no_more_writes(sfm: Callable[..., Call]) -> None:
    sfm(OLD)("store", "tea", "--coord", "1")
    sfm(NEW)("migrate", OLD, NEW)
    problem = sfm(OLD)("store", "more", status=Exit.CONFIGURATION)["error"]
    assert "moved to another truth" in str(problem)


def test_doctor_tells_what_a_start_would_take_over_and_does_not_do_it(
    sfm: Callable[..., Call],
) -> None:
    sfm(OLD)("store", "tea", "--coord", "1")
    [truth] = [one for one in listed(sfm(NEW, OLD)("doctor")) if one["check"] == "newest truth"]

    assert (truth["verdict"], OLD in str(truth["detail"])) == ("warning", True)
    assert sfm(NEW)("migrate", OLD, NEW, "--dry-run")["unchanged"] == 0
    assert sfm(OLD)("store", "still ours", "--coord", "2")


def test_a_truth_that_does_not_last_takes_nothing_over(sfm: Callable[..., Call]) -> None:
    sfm(OLD)("store", "tea", "--coord", "1")
    assert sfm("memory:", OLD)("stats")["total_memories"] == 0
    sfm(OLD)("migrate", OLD, "memory:", status=Exit.CONFIGURATION)
    assert sfm(OLD)("store", "still ours", "--coord", "2")


def test_a_truth_that_holds_nothing_is_not_migrated(sfm: Callable[..., Call]) -> None:
    sfm(OLD)("store", "tea", "--coord", "1")
    assert sfm(NEW)("migrate", NEW, OLD)["verified"] is None
    sfm(NEW)("migrate", NEW, OLD, "--replace", status=Exit.CONFIGURATION)
    assert sfm(OLD)("get", "1")["payload"] == {"text": "tea"}


def test_two_truths_are_compared(sfm: Callable[..., Call]) -> None:
    sfm(OLD)("store", "tea", "--coord", "1")
    sfm(NEW)("migrate", OLD, NEW)
    assert sfm(NEW)("check", "--against", OLD)["same"] == 1
    sfm(NEW, OLD)("store", "coffee", "--coord", "1")
    difference = sfm(NEW)("check", "--against", OLD, status=Exit.FOUND_PROBLEMS)
    assert difference["different"] == 1


def test_the_truths_of_an_installation_are_listed(sfm: Callable[..., Call]) -> None:
    sfm(OLD)("store", "tea", "--coord", "1")
    sfm(NEW, OLD)("store", "coffee", "--coord", "2")
    rows = listed(sfm(NEW, OLD)("truths"))
    assert [(one["place"], one["state"], one["superseded_by"]) for one in rows] == [
        (NEW, "this one", ""),
        (OLD, "older", NEW),
    ]


class Dawdling(HashingEmbedder):
    """An embedder that takes so long to open that another truth takes over meanwhile."""

    def __init__(self, url: str, context: BackendContext) -> None:  # noqa: ARG002 - a factory
        super().__init__()
        self._folder = context.data_folder

    async def __aenter__(self) -> Self:
        chosen = selection(SFM_KV_URL=OLD, SFM_DATA_FOLDER=str(self._folder))
        await migrate(truth_maker(chosen), truth_at(chosen, OLD), truth_at(chosen, NEW))
        return await super().__aenter__()


class DawdlingPlugin:
    @hookimpl
    def sfm_register_embedders(self, register: Register[Embedder]) -> None:
        register("dawdling", Dawdling, summary="")


async def test_a_start_on_a_truth_that_is_overtaken_meanwhile_is_refused(folder: Path) -> None:
    chosen = {"SFM_KV_URL": OLD, "SFM_DATA_FOLDER": str(folder), "SFM_EMBEDDER_URL": "hashing:"}
    async with open_memory(load_settings(chosen).settings) as memory:
        await memory.engine.remember("default", {"text": "tea"})
    settings = load_settings(chosen | {"SFM_EMBEDDER_URL": "dawdling:"}).settings

    with pytest.raises(SupersededError, match=r"new\.db has taken over"):
        async with open_memory(settings, extra_plugins={"dawdling": DawdlingPlugin()}):
            pass


def test_truths_of_other_modes_are_looked_for_where_they_were_set_up(folder: Path) -> None:
    variables = {"SFM_DATA_FOLDER": str(folder)}
    assert other_truths(selection(**variables)) == []
    reached = {"REDIS_HOST": "cache.example", "POSTGRES_URL": "postgresql://db.example/sfm"}
    found = other_truths(selection(**variables, **reached))
    assert {one.url for one in found} == {"redis:", "postgresql:"}


def test_a_former_truth_that_no_plugin_serves_is_an_error(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="unheard"):
        other_truths(selection(SFM_DATA_FOLDER=str(folder), SFM_FORMER_KV_URLS="unheard:of"))


def test_the_place_of_a_truth_holds_no_password(folder: Path) -> None:
    chosen = selection(SFM_DATA_FOLDER=str(folder))
    assert "secret" not in truth_at(chosen, "redis://me:secret@cache.example/0").place


def test_a_mode_stands_for_its_truth(folder: Path) -> None:
    assert truth_at(selection(SFM_DATA_FOLDER=str(folder)), "development").url == "redis:"
