"""What backends say names hosts and folders: it goes to the log, and to who looks after it all."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from faulty_plugin import FaultyPlugin
from pydantic import SecretStr
from tenant_tokens import grant, issue

from sfm_core.errors import BackendUnavailableError
from sfm_server.app import create_app
from sfm_server.settings import Settings

HOST = "db.internal"
ROOT = {"Authorization": f"Bearer {'t' * 32}"}
ITEMS = {"items": [{"coord": str(number), "payload": {"n": number}} for number in range(3)]}


def unreachable() -> BackendUnavailableError:
    return BackendUnavailableError(f"{HOST} does not answer.", backend="x", remedy=f"See {HOST}.")


@pytest.fixture
def faults() -> FaultyPlugin:
    return FaultyPlugin()


@pytest.fixture
def tenant(tmp_path: Path) -> dict[str, str]:
    return issue(tmp_path / "tokens.json", "tenant", grant("writer", "default"))


@pytest.fixture
async def api(
    tmp_path: Path, faults: FaultyPlugin, tenant: dict[str, str]
) -> AsyncGenerator[httpx.AsyncClient]:
    """The API on backends that fail as `faults` says, with a token for all and one of a tenant."""
    settings = Settings(
        memory_mode="test",
        data_folder=tmp_path,
        kv_url="faulty:",
        vector_url="faulty:",
        api_token=SecretStr("t" * 32),
        tokens_file=tmp_path / "tokens.json",
    )
    assert tenant
    app = create_app(settings, extra_plugins={"faulty": faults})
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sfm") as client,
    ):
        yield client


async def test_a_tenant_hears_of_no_host_when_items_are_left_out_and_the_log_does_once(
    api: httpx.AsyncClient,
    faults: FaultyPlugin,
    tenant: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults.kv.fail("commit", times=None, error=unreachable)
    answer = await api.post("/store_bulk", json=ITEMS, headers=tenant)
    assert [one["code"] for one in answer.json()["errors"]] == ["backend-unavailable"] * 3
    assert HOST not in answer.text
    assert len([one for one in caplog.messages if "/store_bulk" in one and HOST in one]) == 1


async def test_who_looks_after_the_server_is_told_why_items_were_left_out(
    api: httpx.AsyncClient, faults: FaultyPlugin
) -> None:
    faults.kv.fail("commit", times=None, error=unreachable)
    answer = await api.post("/store_bulk", json=ITEMS, headers=ROOT)
    assert {one["message"] for one in answer.json()["errors"]} == {str(unreachable())}


async def test_a_tenant_hears_of_an_item_that_is_not_acceptable(
    api: httpx.AsyncClient, tenant: dict[str, str]
) -> None:
    item = {"coord": "1", "payload": {"n": 1}, "expected_version": 7}
    answer = await api.post("/store_bulk", json={"items": [item]}, headers=tenant)
    assert "7" in answer.json()["errors"][0]["message"]


async def test_a_tenant_hears_of_no_host_when_a_store_cannot_be_purged(
    api: httpx.AsyncClient,
    faults: FaultyPlugin,
    tenant: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await api.post("/store_bulk", json=ITEMS, headers=tenant)
    faults.vector.fail("collections", times=None, error=unreachable)
    answer = await api.delete("/memories/1", params={"purge": "true"}, headers=tenant)
    [vectors] = [one for one in answer.json()["stores"] if one["store"] == "vectors"]
    assert (vectors["state"], "backend-unavailable" in vectors["detail"]) == ("pending", True)
    assert HOST not in answer.text
    assert HOST in caplog.text


async def test_a_tenant_hears_of_no_host_when_an_arm_fails(
    api: httpx.AsyncClient, faults: FaultyPlugin, tenant: dict[str, str]
) -> None:
    await api.post("/store_bulk", json=ITEMS, headers=tenant)
    faults.vector.fail("search", times=None, error=unreachable)
    body = {"query": "x", "deadline_ms": 200}
    answer = await api.post("/recall", json=body, headers=tenant)
    assert HOST not in answer.text
