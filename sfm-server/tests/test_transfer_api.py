"""Exports and imports over HTTP: packed, all or nothing, and hostile."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import zstandard

from sfm_core.errors import ConfigurationError
from sfm_server.app import MemoryApp
from sfm_server.settings import Settings

LINES = {"Content-Type": "application/x-ndjson"}
COUNT = 30
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        memory_mode="test", data_folder=tmp_path / "data", export_folder=tmp_path / "exports"
    )


@pytest.fixture
async def filled(api: httpx.AsyncClient) -> httpx.AsyncClient:
    items = [{"coord": f"{n},0", "payload": {"text": f"fact {n}"}} for n in range(COUNT)]
    await api.post("/store_bulk", json={"items": items})
    await api.post("/link", json={"from_coord": "0,0", "to_coord": "1,0"})
    return api


async def exported(api: httpx.AsyncClient) -> bytes:
    return (await api.get("/export_memories")).content


async def delete_all(api: httpx.AsyncClient) -> None:
    await api.post("/delete_many", json={"type": "episodic"})


async def total(api: httpx.AsyncClient) -> int:
    counted: int = (await api.get("/stats")).json()["total_memories"]
    return counted


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_an_export_is_packed_as_is_accepted(filled: httpx.AsyncClient, coding: str) -> None:
    plain = await exported(filled)
    wanted = {"Accept-Encoding": coding}
    async with filled.stream("GET", "/export_memories", headers=wanted) as answer:
        content = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["Content-Encoding"] == coding
    assert "Accept-Encoding" in answer.headers["Vary"]
    # zstd of a stream does not say how long it is.
    unpacked = (
        zstandard.ZstdDecompressor().decompressobj().decompress(content)
        if coding == "zstd"
        else gzip.decompress(content)
    )
    assert unpacked == plain


async def test_an_export_is_not_packed_unasked(filled: httpx.AsyncClient) -> None:
    answer = await filled.get("/export_memories", headers={"Accept-Encoding": "br"})
    assert "Content-Encoding" not in answer.headers
    assert json.loads(answer.content.splitlines()[-1])["memories"] == COUNT


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_an_import_is_unpacked(filled: httpx.AsyncClient, coding: str) -> None:
    content = PACK[coding](await exported(filled))
    await delete_all(filled)
    answer = await filled.post(
        "/import_memories", content=content, headers={**LINES, "Content-Encoding": coding}
    )
    assert (answer.json()["imported"], answer.json()["links"]) == (COUNT, 1)
    assert await total(filled) == COUNT


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_packed_import_that_was_cut_off_is_told_and_goes_on_later(
    filled: httpx.AsyncClient, coding: str
) -> None:
    content = PACK[coding](await exported(filled))
    await delete_all(filled)
    headers = {**LINES, "Content-Encoding": coding}
    answer = await filled.post("/import_memories", content=content[:-20], headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:sfm:error:malformed-body")
    again = await filled.post("/import_memories", content=content, headers=headers)
    assert (again.json()["imported"], again.json()["failed"]) == (COUNT, 0)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_bomb_is_refused(api: httpx.AsyncClient, coding: str) -> None:
    answer = await api.post(
        "/import_memories",
        content=PACK[coding](b"\n" * 40_000_000),
        headers={**LINES, "Content-Encoding": coding},
    )
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:sfm:error:body-too-large")


async def test_another_coding_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post(
        "/import_memories", content=b"{}", headers={**LINES, "Content-Encoding": "br"}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
async def test_a_file_of_the_export_folder_is_packed_by_its_name(
    filled: httpx.AsyncClient, tmp_path: Path, name: str
) -> None:
    written = await filled.post("/export_memories", json={"path": name})
    assert written.json() == {"exported": COUNT, "path": name}
    start = (tmp_path / "exports" / name).read_bytes()[:2]
    assert (start == b'{"') is (name == "a.jsonl")
    await delete_all(filled)
    answer = await filled.post("/import_memories", json={"path": name})
    assert (answer.json()["imported"], answer.json()["failed"]) == (COUNT, 0)


SOME_BAD = b'{"coord": "1", "payload": {}}\nnot json\n\n{"coord": "x", "payload": {}}\n'


async def test_all_or_nothing_stores_nothing_if_a_line_is_bad(api: httpx.AsyncClient) -> None:
    answer = await api.post("/import_memories?mode=atomic", content=SOME_BAD, headers=LINES)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "urn:sfm:error:import-refused")
    assert [fault["field"] for fault in problem["errors"]] == ["line 2", "line 4"]
    assert await total(api) == 0


@pytest.mark.parametrize("kind", [b"[]", b"{}", b"null"])
async def test_a_kind_that_is_none_is_an_error_of_its_line(
    api: httpx.AsyncClient, kind: bytes
) -> None:
    content = b'{"kind": %s}\n{"coord": "1", "payload": {}}\n' % kind
    told = (await api.post("/import_memories", content=content, headers=LINES)).json()
    assert (told["imported"], [error["line"] for error in told["errors"]]) == (1, [1])


async def test_what_has_expired_is_counted_apart(api: httpx.AsyncClient) -> None:
    content = b'{"coord": "1", "payload": {}, "expires_at": "2020-01-01T00:00:00Z"}'
    told = (await api.post("/import_memories", content=content, headers=LINES)).json()
    assert (told["imported"], told["expired"], told["failed"]) == (0, 1, 0)


async def test_all_or_nothing_stores_all_if_every_line_is_good(filled: httpx.AsyncClient) -> None:
    lines = await exported(filled)
    await delete_all(filled)
    answer = await filled.post("/import_memories?mode=atomic", content=lines, headers=LINES)
    told = answer.json()
    assert (told["imported"], told["links"], told["failed"]) == (COUNT, 1, 0)
    assert await total(filled) == COUNT


async def test_all_or_nothing_takes_no_export_that_was_cut_off(
    filled: httpx.AsyncClient,
) -> None:
    lines = await exported(filled)
    await delete_all(filled)
    cut = lines[: lines.rindex(b"\n", 0, -1) + 1]
    answer = await filled.post("/import_memories?mode=atomic", content=cut, headers=LINES)
    assert "cut short" in answer.json()["detail"]
    assert await total(filled) == 0


async def test_a_check_says_what_is_bad_and_stores_nothing(api: httpx.AsyncClient) -> None:
    answer = await api.post("/import_memories?mode=check", content=SOME_BAD, headers=LINES)
    assert (answer.json()["imported"], answer.json()["failed"]) == (1, 2)
    assert await total(api) == 0


async def test_another_mode_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post("/import_memories?mode=maybe", content=b"", headers=LINES)
    assert answer.status_code == 422


async def test_all_or_nothing_happens_once_for_a_key(api: httpx.AsyncClient) -> None:
    line, key = b'{"coord": "1", "payload": {"n": 1}}\n', {"Idempotency-Key": "once"}
    for _ in range(2):
        answer = await api.post(
            "/import_memories?mode=atomic", content=line, headers={**LINES, **key}
        )
        assert answer.json()["imported"] == 1
        await api.post("/store", json={"coord": "1", "payload": {"n": 2}})
    assert (await api.get("/memories/1")).json()["payload"] == {"n": 2}


async def test_what_a_killed_server_left_of_an_export_goes_at_the_next_start(
    app: MemoryApp, tmp_path: Path
) -> None:
    left = tmp_path / "exports" / "below" / f".{'0a' * 8}.partial"
    left.parent.mkdir(parents=True)
    left.write_text("half of a memory")
    async with app.router.lifespan_context(app):
        assert not left.exists()


async def test_a_file_in_place_of_the_export_folder_is_told_at_the_start(
    app: MemoryApp, tmp_path: Path
) -> None:
    (tmp_path / "exports").write_text("")
    with pytest.raises(ConfigurationError, match="SFM_EXPORT_FOLDER"):
        async with app.router.lifespan_context(app):
            pass


async def test_a_folder_that_becomes_a_file_is_no_fault_of_the_server(
    filled: httpx.AsyncClient, tmp_path: Path
) -> None:
    (tmp_path / "exports").write_text("")
    answer = await filled.post("/export_memories", json={"path": "a"})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:sfm:error:forbidden-path")
