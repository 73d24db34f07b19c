from __future__ import annotations

import json
import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sfm_server.settings import Settings

LINES = "application/x-ndjson"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        memory_mode="test", data_folder=tmp_path / "data", export_folder=tmp_path / "exports"
    )


@pytest.fixture
async def filled(api: httpx.AsyncClient) -> httpx.AsyncClient:
    items = [{"coord": f"{n},0", "payload": {"text": f"fact {n}"}} for n in range(30)]
    await api.post("/store_bulk", json={"items": items})
    await api.post("/link", json={"from_coord": "0,0", "to_coord": "1,0"})
    return api


async def delete_all(api: httpx.AsyncClient) -> None:
    await api.post("/delete_many", json={"coords": [f"{n},0" for n in range(30)]})


async def test_an_export_is_json_lines_with_header_and_footer(filled: httpx.AsyncClient) -> None:
    answer = await filled.get("/export_memories")
    kinds = [json.loads(line)["kind"] for line in answer.text.splitlines()]
    assert kinds == ["header", *["memory"] * 30, "link", "footer"]


async def test_an_export_can_be_narrowed_to_namespaces(filled: httpx.AsyncClient) -> None:
    answer = await filled.get("/export_memories", params={"namespaces": ["other"]})
    assert len(answer.text.splitlines()) == 2


async def test_an_export_can_be_imported(filled: httpx.AsyncClient) -> None:
    lines = (await filled.get("/export_memories")).content
    await delete_all(filled)
    answer = await filled.post("/import_memories", content=lines, headers={"Content-Type": LINES})
    assert (answer.json()["imported"], answer.json()["links"]) == (30, 1)
    assert (await filled.get("/stats")).json()["total_memories"] == 30


async def test_bad_lines_are_told_by_number_and_the_rest_is_stored(api: httpx.AsyncClient) -> None:
    lines = [
        b'{"coord": [1, 1], "payload": {"text": "good"}}',
        b"not json",
        b'{"coord": [1, 2], "payload": {"text": "\xff"}}',
        b'{"namespace": "other", "coord": "1,3", "type": "semantic", "payload": {}}',
        b'{"coord": "x", "payload": {}}',
    ]
    answer = await api.post(
        "/import_memories", content=b"\n".join(lines), headers={"Content-Type": LINES}
    )
    report = answer.json()
    assert (report["imported"], report["failed"]) == (2, 3)
    assert [error["line"] for error in report["errors"]] == [2, 3, 5]


async def test_plain_lines_go_to_the_namespace_of_the_request(api: httpx.AsyncClient) -> None:
    await api.post(
        "/import_memories",
        content=b'{"coord": "1", "payload": {}}',
        params={"namespace": "elsewhere"},
        headers={"Content-Type": LINES},
    )
    answer = await api.get("/stats", params={"namespace": "elsewhere"})
    assert answer.json()["total_memories"] == 1


async def test_a_file_of_the_export_folder_can_be_written_and_read(
    filled: httpx.AsyncClient, tmp_path: Path
) -> None:
    written = await filled.post("/export_memories", json={"path": "sub/backup.jsonl"})
    assert written.json() == {"exported": 30, "path": "sub/backup.jsonl"}
    assert [path.name for path in (tmp_path / "exports" / "sub").iterdir()] == ["backup.jsonl"]
    await delete_all(filled)
    answer = await filled.post("/import_memories", json={"path": "sub/backup.jsonl"})
    assert answer.json()["imported"] == 30


@contextmanager
def room_for(size: int) -> Generator[None]:
    """Let no file of this process grow beyond a size, as on a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 1000], ids=["nothing", "a part"])
async def test_an_export_without_room_is_told_and_leaves_the_one_before(
    filled: httpx.AsyncClient, tmp_path: Path, size: int
) -> None:
    await filled.post("/export_memories", json={"path": "backup.jsonl"})
    before = (tmp_path / "exports" / "backup.jsonl").read_bytes()
    await filled.post("/store", json={"coord": "31,0", "payload": {"text": "one more"}})
    with room_for(size):
        answer = await filled.post("/export_memories", json={"path": "backup.jsonl"})
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:sfm:error:storage-full")
    [left] = (tmp_path / "exports").iterdir()
    assert left.read_bytes() == before


@pytest.mark.parametrize(
    "path", ["../out.jsonl", "/etc/passwd", "sub/../../out", ".", "link/out", "a\0b"]
)
@pytest.mark.parametrize("endpoint", ["/export_memories", "/import_memories"])
async def test_no_path_leads_out_of_the_export_folder(
    api: httpx.AsyncClient, tmp_path: Path, path: str, endpoint: str
) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "link").symlink_to(tmp_path)
    answer = await api.post(endpoint, json={"path": path})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:sfm:error:forbidden-path")
    assert not (tmp_path / "out").exists()


async def test_a_file_that_is_not_there_is_not_found(api: httpx.AsyncClient) -> None:
    answer = await api.post("/import_memories", json={"path": "missing.jsonl"})
    assert answer.status_code == 404


async def test_rebuild_remakes_every_entry(filled: httpx.AsyncClient) -> None:
    assert (await filled.post("/rebuild")).json()["rebuilt"] >= 30


async def test_check_finds_the_stores_consistent(filled: httpx.AsyncClient) -> None:
    report = (await filled.post("/check", json={"repair": True})).json()
    assert (report["consistent"], report["memories"], report["links"]) == (True, 30, 1)


async def test_collections_are_listed_and_those_in_use_are_not_dropped(
    filled: httpx.AsyncClient,
) -> None:
    [one] = (await filled.get("/collections")).json()["collections"]
    assert (one["role"], one["complete"], one["chosen"]) == ("serving", True, True)
    assert (await filled.get("/health")).json()["collections"] == [one]
    refused = await filled.delete(f"/collections/{one['name']}")
    assert (refused.status_code, refused.json()["field"]) == (422, "name")
    assert (await filled.delete("/collections/nobody")).status_code == 404
