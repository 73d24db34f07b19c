"""Positions over HTTP: what writes answer, and what questions wait for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import httpx
import pytest

from sfm_server.app import create_app
from sfm_server.assembly import open_memory
from sfm_server.settings import Settings

WHALE = {"coord": "1", "payload": {"text": "a whale in the bay"}}
FOX = {"coord": "2", "payload": {"text": "a fox in the wood"}}
QUESTIONS = [
    ("/recall", {"query": "whale"}, "matches"),
    ("/recall_batch", {"queries": ["whale", "fox"]}, "batches"),
    ("/recall_with_scores", {"query": "whale"}, "results"),
    ("/recall_with_context", {"query": "whale", "context": "the sea"}, "results"),
]
LINK_QUESTIONS = [("/neighbors", {"coord": "1"}), ("/shortest_path", {"frm": "1", "to": "2"})]


def chosen(folder: Path, **more: object) -> Settings:
    return Settings.model_validate(
        {
            "data_folder": folder,
            "embedder_url": "hashing:",
            "index_wait_seconds": 0.2,
            "sweep_interval_seconds": 0.05,
            "rate_limit_max": 0,
            **more,
        }
    )


@pytest.fixture
async def evented(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """The application, where nobody indexes what it writes."""
    app = create_app(chosen(tmp_path, indexing="evented"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://sfm") as client,
    ):
        yield client


async def post(api: httpx.AsyncClient, path: str, body: Mapping[str, object]) -> dict[str, object]:
    answer = await api.post(path, json=body)
    assert answer.is_success, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_every_write_answers_a_position(api: httpx.AsyncClient) -> None:
    ends = {"from_coord": "1", "to_coord": "2"}
    writes: dict[str, Mapping[str, object]] = {
        "/store": WHALE,
        "/remember": {"payload": {"text": "a bear"}},
        "/store_bulk": {"items": [FOX, WHALE]},
        "/link": ends,
        "/unlink": ends,
        "/delete_many": {"coords": ["2"]},
    }
    for path, body in writes.items():
        assert (await post(api, path, body))["position"], path
    weighed = await api.patch("/memories/1", json={"importance": 0.7})
    deleted = await api.delete("/memories/1")
    assert weighed.json()["position"]
    assert deleted.json()["position"]


@pytest.mark.parametrize(("path", "body", "found"), QUESTIONS)
async def test_an_answer_says_nothing_of_positions_that_were_not_asked_for(
    api: httpx.AsyncClient, path: str, body: dict[str, object], found: str
) -> None:
    assert set(await post(api, path, body)) == {found}


@pytest.mark.parametrize(("path", "body", "found"), QUESTIONS)
async def test_a_recall_sees_what_is_indexed_by_the_server_itself(
    api: httpx.AsyncClient, path: str, body: dict[str, object], found: str
) -> None:
    position = (await post(api, "/store_bulk", {"items": [WHALE, FOX]}))["position"]
    answer = await post(api, path, {**body, "min_position": position})
    assert answer["stale"] is False
    assert "a whale in the bay" in str(answer[found])


@pytest.mark.parametrize(("path", "body", "found"), QUESTIONS)
async def test_a_recall_that_waits_in_vain_answers_with_what_there_is(
    evented: httpx.AsyncClient, path: str, body: dict[str, object], found: str
) -> None:
    stored = await post(evented, "/store", WHALE)
    assert stored["indexed"] is False
    answer = await post(evented, path, {**body, "min_position": stored["position"]})
    assert answer["stale"] is True
    assert "whale" not in str(answer[found])


@pytest.mark.parametrize(("path", "query"), LINK_QUESTIONS)
async def test_questions_about_links_wait_too(
    evented: httpx.AsyncClient, tmp_path: Path, path: str, query: dict[str, str]
) -> None:
    await post(evented, "/store_bulk", {"items": [WHALE, FOX]})
    linked = await post(evented, "/link", {"from_coord": "1", "to_coord": "2"})
    asked = {**query, "min_position": str(linked["position"])}
    assert (await evented.get(path, params=asked)).json()["stale"] is True
    async with open_memory(chosen(tmp_path)):
        found: dict[str, object] = {"stale": True}
        while found["stale"]:
            found = (await evented.get(path, params=asked)).json()
    assert "2" in str(found)


async def test_a_recall_waits_for_several_writes_and_for_who_indexes_them(
    evented: httpx.AsyncClient, tmp_path: Path
) -> None:
    one = await post(evented, "/store", WHALE)
    other = await post(evented, "/remember", {"payload": FOX["payload"]})
    asked = {"query": "whale", "min_position": f"{one['position']},{other['position']}"}
    async with open_memory(chosen(tmp_path)):
        answer: dict[str, object] = {"stale": True}
        while answer["stale"]:
            answer = await post(evented, "/recall", asked)
    assert answer["matches"] == [WHALE["payload"], FOX["payload"]]


async def test_a_bulk_has_one_short_position(evented: httpx.AsyncClient) -> None:
    items = [{"coord": str(n), "payload": {"text": f"fact {n}"}} for n in range(1000)]
    answer = await post(evented, "/store_bulk", {"items": items})
    assert len(str(answer["position"])) < 60
    assert "position" not in str(answer["results"])
    asked = {"query": "fact", "min_position": answer["position"]}
    assert (await post(evented, "/recall", asked))["stale"] is True


async def test_a_bulk_of_which_nothing_was_stored_owes_nothing(api: httpx.AsyncClient) -> None:
    item = {**WHALE, "expected_version": 7}
    answer = await post(api, "/store_bulk", {"items": [item]})
    assert (answer["stored"], answer["position"]) == (0, "")
    asked = {"query": "whale", "min_position": answer["position"]}
    assert (await post(api, "/recall", asked))["stale"] is False


@pytest.mark.parametrize("position", ["x", "AAAAAAAAAAAA.1.1", "1.2.3", "\u0000", "🐋.1", ".."])
@pytest.mark.parametrize(("path", "body", "found"), QUESTIONS[:1])
async def test_a_position_that_was_made_up_is_refused_and_named(
    api: httpx.AsyncClient, path: str, body: dict[str, object], found: str, position: str
) -> None:
    answer = await api.post(path, json={**body, "min_position": position})
    problem = answer.json()
    assert (answer.status_code, problem["field"]) == (400, "min_position")
    assert problem["type"] == "urn:sfm:error:invalid-position"
    assert problem["remedy"]
    assert found not in problem


@pytest.mark.parametrize(("path", "query"), LINK_QUESTIONS)
async def test_a_position_that_was_made_up_is_refused_in_a_query_too(
    api: httpx.AsyncClient, path: str, query: dict[str, str]
) -> None:
    answer = await api.get(path, params={**query, "min_position": "x"})
    assert (answer.status_code, answer.json()["field"]) == (400, "min_position")


async def test_a_position_that_names_too_much_is_refused(api: httpx.AsyncClient) -> None:
    position = str((await post(api, "/store", WHALE))["position"])
    for text in (f"{position}.1-7fffffff", f"{position}{'.2' * 200_000}", "x" * 2_000_000):
        answer = await api.post("/recall", json={"query": "whale", "min_position": text})
        assert (answer.status_code, answer.json()["field"]) == (422, "min_position")


async def test_a_position_is_a_text(api: httpx.AsyncClient) -> None:
    answer = await api.post("/recall", json={"query": "whale", "min_position": 7})
    assert (answer.status_code, answer.json()["field"]) == (422, "min_position")


class TestHealth:
    async def test_a_server_whose_writes_nobody_indexes_is_degraded(
        self, evented: httpx.AsyncClient
    ) -> None:
        assert (await evented.get("/readyz")).json()["status"] == "ok"
        stored = await post(evented, "/store", WHALE)
        asked = {"query": "whale", "min_position": stored["position"]}
        assert (await post(evented, "/recall", asked))["stale"] is True
        ready = await evented.get("/readyz")
        health = await evented.get("/health")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert "`sfm consumer`" in ready.json()["hint"]
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert health.json()["hint"].startswith("1 changes wait")
        assert health.json()["ok"] is True
        assert health.json()["indexing"] == "evented"

    async def test_it_is_well_when_somebody_does(
        self, evented: httpx.AsyncClient, tmp_path: Path
    ) -> None:
        await post(evented, "/store", WHALE)
        async with open_memory(chosen(tmp_path)):
            while (await evented.get("/health")).json()["outbox_depth"]:
                pass
        assert (await evented.get("/readyz")).json()["status"] == "ok"
