"""Who may do what, over every endpoint there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from tenant_tokens import grant, is_refused, issue
from valid_requests import BODIES, ENDLESS, PARAMETERS

from sfm_server.access.endpoints import RULES
from sfm_server.access.roles import Role
from sfm_server.access.rules import Where
from sfm_server.access.token_file import remove_token
from sfm_server.app import MemoryApp, create_app
from sfm_server.settings import Settings

OURS = "acme"
THEIRS = "acme-2"


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def tenant(tokens: Path) -> dict[str, str]:
    """The header of a tenant's administrator."""
    return issue(tokens, "tenant", grant("admin", OURS))


@pytest.fixture
def settings(tmp_path: Path, tokens: Path, tenant: dict[str, str]) -> Settings:
    del tenant
    return Settings(
        memory_mode="test",
        data_folder=tmp_path / "data",
        tokens_file=tokens,
        export_folder=tmp_path / "exports",
        eventing_enabled=True,
    )


def endpoints(*wheres: Where) -> list[tuple[str, str]]:
    return [key for key, rule in RULES.items() if rule.where in wheres]


def routes(app: MemoryApp) -> Iterator[tuple[str, str]]:
    for context in iter_route_contexts(app.routes):
        for method in getattr(context, "methods", None) or ():
            if method != "HEAD":
                yield method, str(getattr(context, "path", ""))


def test_every_route_has_a_rule_and_every_rule_a_route(app: MemoryApp) -> None:
    assert set(routes(app)) == set(RULES)


def test_an_open_route_is_about_no_namespace() -> None:
    assert [
        key for key, rule in RULES.items() if (rule.role is None) != (rule.where is Where.NOWHERE)
    ] == []


Ask = Callable[[str, str], Awaitable[httpx.Response]]


async def not_refused(ask: Ask, wanted: Sequence[tuple[str, str]], status: int) -> list[str]:
    """Ask for endpoints, and return those that do not refuse as they should."""
    assert wanted
    answers = [(method, path, await ask(method, path)) for method, path in wanted]
    return [f"{method} {path}" for method, path, one in answers if not is_refused(one, status)]


async def test_nobody_gets_in_without_a_token(api: httpx.AsyncClient) -> None:
    async def ask(method: str, path: str) -> httpx.Response:
        return await api.request(method, path.format(coord="1", name="x"))

    assert await not_refused(ask, endpoints(*set(Where) - {Where.NOWHERE}), 401) == []


BESIDE_OURS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"namespace": THEIRS}, {"X-SFM-Namespace": OURS}),
    ({}, {"X-SFM-Namespace": THEIRS}),
]


@pytest.mark.parametrize(("named", "headers"), BESIDE_OURS, ids=["named", "in the header"])
async def test_no_query_reaches_another_s_namespace(
    api: httpx.AsyncClient, tenant: dict[str, str], named: dict[str, str], headers: dict[str, str]
) -> None:
    async def ask(method: str, path: str) -> httpx.Response:
        query = PARAMETERS.get((method, path), {}) | named
        return await api.request(
            method, path.format(coord="1"), params=query, headers=tenant | headers
        )

    assert await not_refused(ask, endpoints(Where.QUERY), 403) == []


@pytest.mark.parametrize(("named", "headers"), BESIDE_OURS, ids=["named", "in the header"])
async def test_no_body_reaches_another_s_namespace(
    api: httpx.AsyncClient, tenant: dict[str, str], named: dict[str, str], headers: dict[str, str]
) -> None:
    async def ask(method: str, path: str) -> httpx.Response:
        body = BODIES[method, path] | named
        return await api.request(
            method, path.format(coord="1"), json=body, headers=tenant | headers
        )

    assert await not_refused(ask, endpoints(Where.BODY), 403) == []


async def test_no_query_beside_a_body_reaches_another_s_namespace(
    api: httpx.AsyncClient, tenant: dict[str, str]
) -> None:
    async def ask(method: str, path: str) -> httpx.Response:
        return await api.request(
            method,
            path.format(coord="1"),
            json=BODIES[method, path],
            params={"namespace": THEIRS},
            headers=tenant,
        )

    assert await not_refused(ask, endpoints(Where.BODY), 403) == []


async def test_namespaces_are_listed_to_who_may_read_several(
    api: httpx.AsyncClient, app: MemoryApp, tokens: Path
) -> None:
    headers = issue(tokens, "two", grant("writer", OURS, THEIRS))
    app.state.authority.look()
    for name in (OURS, THEIRS):
        body: dict[str, object] = {"namespace": name, "coord": "1", "payload": {}}
        assert (await api.post("/store", json=body, headers=headers)).is_success
    listed = await api.get("/namespaces", headers=headers)
    assert listed.json()["namespaces"] == [OURS, THEIRS]


async def test_who_waits_for_events_hears_none_after_the_token_was_revoked(
    api: httpx.AsyncClient, app: MemoryApp, tokens: Path, tenant: dict[str, str]
) -> None:
    query = {"namespace": OURS, "wait_seconds": "30"}
    others = issue(tokens, "other", grant("writer", OURS))
    app.state.authority.look()
    waits = asyncio.create_task(api.get("/events/page", params=query, headers=tenant))
    for _ in range(100):
        await asyncio.sleep(0)
    remove_token(tokens, "tenant")
    app.state.authority.look()
    body: dict[str, object] = {"namespace": OURS, "coord": "1", "payload": {}}
    assert (await api.post("/store", json=body, headers=others)).is_success
    assert is_refused(await waits, 401)


async def test_what_is_about_everybody_takes_a_token_for_everything(
    api: httpx.AsyncClient, tenant: dict[str, str]
) -> None:
    async def ask(method: str, path: str) -> httpx.Response:
        return await api.request(method, path.format(name="x"), headers=tenant)

    assert await not_refused(ask, endpoints(Where.EVERYWHERE), 403) == []


async def test_a_refusal_names_the_scheme_and_what_is_wrong(
    api: httpx.AsyncClient, tenant: dict[str, str]
) -> None:
    answer = await api.get("/stats", params={"namespace": THEIRS}, headers=tenant)
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'


@pytest.mark.parametrize("role", ["reader", "writer"])
async def test_a_role_does_what_it_includes_and_nothing_more(
    api: httpx.AsyncClient, app: MemoryApp, tokens: Path, role: str
) -> None:
    headers = issue(tokens, role, grant(role, prefixes=[""]))
    app.state.authority.look()
    wrong: list[str] = []
    for (method, path), rule in RULES.items():
        if rule.role is None:
            continue
        answer = await api.request(
            method,
            ENDLESS.get(path, path).format(coord="1", name="x"),
            json=BODIES.get((method, path)),
            params=PARAMETERS.get((method, path)),
            headers=headers,
        )
        if (answer.status_code == 403) is Role(role).includes(rule.role):
            wrong.append(f"{method} {path}: {answer.status_code}")
    assert wrong == []


async def test_a_namespace_that_only_begins_like_ours_is_another(
    api: httpx.AsyncClient, tenant: dict[str, str]
) -> None:
    for name in (f"{OURS}2", f"{OURS} ", OURS.upper(), "acm", "\u0430cme", "acme\u200b"):
        answer = await api.get("/stats", params={"namespace": name}, headers=tenant)
        assert is_refused(answer, 403)


async def test_a_token_for_one_namespace_works_there_unless_told_otherwise(
    api: httpx.AsyncClient, tenant: dict[str, str]
) -> None:
    await api.post("/store", json={"coord": "1", "payload": {}}, headers=tenant)
    assert (await api.get("/stats", headers=tenant)).json()["namespace"] == OURS


async def test_a_prefix_covers_what_begins_with_it(
    api: httpx.AsyncClient, app: MemoryApp, tokens: Path
) -> None:
    headers = issue(tokens, "team", grant("writer", prefixes=["team/"]))
    app.state.authority.look()
    for name, status in (("team/a", 200), ("team/", 200), ("team", 403), ("teams/a", 403)):
        answer = await api.get("/stats", params={"namespace": name}, headers=headers)
        assert answer.status_code == status


async def test_a_token_may_read_in_one_namespace_and_write_in_another(
    api: httpx.AsyncClient, app: MemoryApp, tokens: Path
) -> None:
    headers = issue(tokens, "mixed", grant("reader", "shared"), grant("writer", "own"))
    app.state.authority.look()
    body: dict[str, object] = {"coord": "1", "payload": {}}
    written = [
        (await api.post("/store", json={**body, "namespace": name}, headers=headers)).status_code
        for name in ("own", "shared")
    ]
    assert written == [200, 403]
    answer = await api.get("/stats", params={"namespace": "shared"}, headers=headers)
    assert answer.is_success


class TestWhatIsAboutSeveralNamespaces:
    @pytest.fixture
    def root(self, tokens: Path) -> dict[str, str]:
        return issue(tokens, "root", grant("admin", prefixes=[""]))

    @pytest.fixture
    async def filled(
        self, api: httpx.AsyncClient, app: MemoryApp, root: dict[str, str]
    ) -> httpx.AsyncClient:
        app.state.authority.look()
        for name in (OURS, THEIRS):
            body = {"coord": "1", "payload": {"of": f"canary-{name}."}, "namespace": name}
            assert (await api.post("/store", json=body, headers=root)).is_success
        return api

    async def test_stats_name_only_one_s_own(
        self, filled: httpx.AsyncClient, tenant: dict[str, str], root: dict[str, str]
    ) -> None:
        seen = (await filled.get("/stats", headers=tenant)).json()["namespaces"]
        everything = (await filled.get("/stats", headers=root)).json()["namespaces"]
        assert (seen, everything) == ([OURS], [OURS, THEIRS])

    async def test_an_export_holds_only_one_s_own(
        self, filled: httpx.AsyncClient, tenant: dict[str, str]
    ) -> None:
        answer = await filled.get("/export_memories", headers=tenant)
        assert f"canary-{OURS}." in answer.text
        assert f"canary-{THEIRS}." not in answer.text

    async def test_another_s_export_is_refused(
        self, filled: httpx.AsyncClient, tenant: dict[str, str]
    ) -> None:
        parameters = {"namespaces": [OURS, THEIRS]}
        answer = await filled.get("/export_memories", params=parameters, headers=tenant)
        assert is_refused(answer, 403)

    async def test_an_export_of_who_has_nothing_is_empty(
        self, filled: httpx.AsyncClient, app: MemoryApp, tokens: Path
    ) -> None:
        headers = issue(tokens, "new", grant("admin", "nothing-there-yet"))
        app.state.authority.look()
        answer = await filled.get("/export_memories", headers=headers)
        assert "canary" not in answer.text
        assert len(answer.text.splitlines()) == 2

    async def test_lines_about_another_s_namespace_are_not_imported(
        self, filled: httpx.AsyncClient, tenant: dict[str, str], root: dict[str, str]
    ) -> None:
        exported = (await filled.get("/export_memories", headers=root)).content
        lines = exported + b'{"coord": "9", "payload": {}, "namespace": "%s"}' % THEIRS.encode()
        answer = await filled.post(
            "/import_memories",
            content=lines,
            headers={**tenant, "Content-Type": "application/x-ndjson"},
        )
        assert answer.json()["imported"] == 1
        theirs = await filled.get("/stats", params={"namespace": THEIRS}, headers=root)
        assert theirs.json()["total_memories"] == 1

    async def test_a_file_of_the_server_is_not_for_a_tenant(
        self, filled: httpx.AsyncClient, tenant: dict[str, str], root: dict[str, str]
    ) -> None:
        body = {"path": "all.jsonl"}
        assert (await filled.post("/export_memories", json=body, headers=root)).is_success
        for path in ("/export_memories", "/import_memories"):
            assert is_refused(await filled.post(path, json=body, headers=tenant), 403)

    async def test_everybody_s_events_are_not_for_a_tenant(
        self, filled: httpx.AsyncClient, tenant: dict[str, str], root: dict[str, str]
    ) -> None:
        wanted = {"after": "start", "all_namespaces": "true"}
        for path in ("/events", "/events/page"):
            assert is_refused(await filled.get(path, params=wanted, headers=tenant), 403)
        everybody = await filled.get("/events/page", params=wanted, headers=root)
        own = await filled.get("/events/page", params={"after": "start"}, headers=tenant)
        assert f"canary-{THEIRS}." in everybody.text
        assert f"canary-{OURS}." in own.text
        assert f"canary-{THEIRS}." not in own.text

    @pytest.mark.parametrize("limit", [1, 2, 100])
    async def test_only_one_s_own_namespaces_are_listed(
        self, filled: httpx.AsyncClient, tenant: dict[str, str], root: dict[str, str], limit: int
    ) -> None:
        asked = {"limit": limit}
        own = await filled.get("/namespaces", params=asked, headers=tenant)
        everybody = await filled.get("/namespaces", params=asked, headers=root)
        assert own.json()["namespaces"] == [OURS]
        assert everybody.json()["namespaces"] == [OURS, THEIRS][:limit]

    async def test_a_replay_is_of_one_s_own(
        self, filled: httpx.AsyncClient, tenant: dict[str, str], root: dict[str, str]
    ) -> None:
        body = {"from": "2026-01-01T00:00:00Z", "dry_run": True}
        answers = [
            (await filled.post("/events/replay", json=body, headers=one)).json()
            for one in (tenant, root)
        ]
        assert [one["memories"] for one in answers] == [1, 2]
        named = {**body, "namespaces": [THEIRS]}
        assert is_refused(await filled.post("/events/replay", json=named, headers=tenant), 403)


async def test_an_import_ends_with_its_token(
    api: httpx.AsyncClient, app: MemoryApp, tokens: Path, tenant: dict[str, str]
) -> None:
    async def lines() -> AsyncGenerator[bytes]:
        yield b'{"coord": "1", "payload": {}}\n'
        remove_token(tokens, "tenant")
        app.state.authority.look()
        yield b'{"coord": "2", "payload": {}}\n'

    headers = {**tenant, "Content-Type": "application/x-ndjson"}
    assert is_refused(await api.post("/import_memories", content=lines(), headers=headers), 401)


async def test_metrics_name_no_namespace_and_no_token(
    api: httpx.AsyncClient, tenant: dict[str, str]
) -> None:
    assert (await api.get("/stats", headers=tenant)).is_success
    assert (await api.get("/stats", params={"namespace": THEIRS}, headers=tenant)).is_error
    figures = (await api.get("/metrics")).text
    assert OURS not in figures
    assert "tenant" not in figures


async def test_a_route_that_no_rule_names_is_refused(settings: Settings, tokens: Path) -> None:
    root = issue(tokens, "root", grant("admin", prefixes=[""]))
    app = create_app(settings)

    @app.get("/undeclared")
    async def undeclared() -> str:
        return "seen"

    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://sfm") as client,
    ):
        assert is_refused(await client.get("/undeclared", headers=root), 403)
        assert (await client.get("/no-such-thing", headers=root)).status_code == 404
        assert (await client.get("/store", headers=root)).status_code == 405


async def test_no_spelling_of_a_path_goes_round_the_gate(
    api: httpx.AsyncClient, tenant: dict[str, str]
) -> None:
    for path in (
        "/stats/",
        "//stats",
        "/STATS",
        "/healthz/../stats",
        "/stats%2f",
        "/%73tats",
        "/stats%0a",
    ):
        place = f"http://sfm{path}"
        assert (await api.get(place)).status_code == 401
        other = {"namespace": THEIRS}
        assert not (await api.get(place, params=other, headers=tenant)).is_success
