from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from fix_serving import Serve, Server
from tenant_tokens import grant, issue

from sfm_core.errors import BackendUnavailableError
from sfm_core.testing.clock import ManualClock
from sfm_server.app import create_app
from sfm_server.limiting.ledger import ALONE_FOR, PATIENCE, Ledger
from sfm_server.limiting.shared_file import FileCounter
from sfm_server.settings import Settings

LIMIT = 10
MINUTE = timedelta(minutes=1)


class CountingStore:
    """A counter that several ledgers share, and that can be made to fail or to hang."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.asked = 0
        self.fails = False
        self.hangs = False

    async def increment(self, key: str, amount: int, *, ttl: timedelta) -> int:
        assert ttl >= MINUTE
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise BackendUnavailableError("It does not answer.", backend="counting")
        self.counts[key] += amount
        return self.counts[key]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 5, 4, 3, 2, 0, tzinfo=UTC))


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


def ledger(clock: ManualClock, store: CountingStore | None, limit: int = LIMIT) -> Ledger:
    made = Ledger(limit, clock=clock)
    made.count_in(store)
    return made


async def allowed(one: Ledger, times: int, caller: str = "a", endpoint: str = "GET /x") -> int:
    verdicts = await asyncio.gather(*(one.take(caller, endpoint) for _ in range(times)))
    return sum(verdict.allowed for verdict in verdicts)


class TestLedger:
    async def test_requests_at_once_are_all_counted(
        self, clock: ManualClock, store: CountingStore
    ) -> None:
        assert await allowed(ledger(clock, store), 64) == LIMIT

    async def test_workers_share_one_limit(self, clock: ManualClock, store: CountingStore) -> None:
        workers = [ledger(clock, store) for _ in range(4)]
        assert sum([await allowed(one, 5) for one in workers]) == LIMIT

    async def test_callers_and_endpoints_are_counted_apart(
        self, clock: ManualClock, store: CountingStore
    ) -> None:
        one = ledger(clock, store)
        for caller, endpoint in (("a", "GET /x"), ("b", "GET /x"), ("a", "GET /y")):
            assert await allowed(one, 2 * LIMIT, caller, endpoint) == LIMIT

    async def test_the_next_minute_begins_anew(
        self, clock: ManualClock, store: CountingStore
    ) -> None:
        one = ledger(clock, store)
        await allowed(one, 2 * LIMIT)
        await clock.advance(timedelta(seconds=20))
        verdict = await one.take("a", "GET /x")
        assert (verdict.allowed, verdict.remaining, verdict.reset_seconds) == (False, 0, 40)
        await clock.advance(timedelta(seconds=40))
        verdict = await one.take("a", "GET /x")
        assert (verdict.allowed, verdict.remaining, verdict.reset_seconds) == (True, 9, 60)

    async def test_most_requests_ask_nobody_else(
        self, clock: ManualClock, store: CountingStore
    ) -> None:
        one = ledger(clock, store, limit=5000)
        assert await allowed(one, 5100) == 5000
        assert store.asked <= 102

    async def test_blocks_of_many_workers_never_let_too_much_through(
        self, clock: ManualClock, store: CountingStore
    ) -> None:
        workers = [ledger(clock, store, limit=1000) for _ in range(7)]
        through = sum([await allowed(one, 300) for one in workers])
        assert 1000 - 7 * 10 <= through <= 1000

    async def test_a_counter_that_fails_leaves_each_worker_its_own_limit(
        self, clock: ManualClock, store: CountingStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        store.fails = True
        one = ledger(clock, store)
        assert await allowed(one, 64) == LIMIT
        assert await allowed(one, 64, "b") == LIMIT
        assert caplog.text.count("counts requests alone") == 1

    async def test_a_counter_that_fails_is_left_alone_for_a_while(
        self, clock: ManualClock, store: CountingStore
    ) -> None:
        store.fails = True
        one = ledger(clock, store)
        for caller in range(100):
            await one.take(f"caller {caller}", "GET /x")
        assert store.asked == 1
        store.fails = False
        await clock.advance(ALONE_FOR)
        for caller in range(100, 200):
            await one.take(f"caller {caller}", "GET /x")
        assert store.asked == 101

    async def test_only_one_request_waits_for_a_counter_that_hangs(
        self, clock: ManualClock, store: CountingStore
    ) -> None:
        store.hangs = True
        one = ledger(clock, store)
        began = asyncio.get_running_loop().time()
        for caller in range(200):
            assert (await one.take(f"caller {caller}", "GET /x")).allowed
        assert store.asked == 1
        assert asyncio.get_running_loop().time() - began < 100 * PATIENCE.total_seconds()

    async def test_any_number_of_addresses_takes_bounded_room(
        self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sfm_server.limiting.ledger.MAX_ACCOUNTS", 100)
        one = ledger(clock, None, limit=1)
        for number in range(100):
            assert (await one.take(f"address {number}", "GET /x")).allowed
        assert await allowed(one, 3, "one more") == 1
        assert await allowed(one, 3, "another one") == 0
        assert await allowed(one, 3, "token known") == 1


class TestFileCounter:
    async def test_counters_of_several_processes_are_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Nobody gives up waiting for the others here, however slow the machine is.
        monkeypatch.setattr("sfm_server.limiting.shared_file._BUSY_SECONDS", 120)
        workers = [FileCounter(tmp_path / "counts") for _ in range(4)]
        await asyncio.gather(
            *(one.increment("a", 2, ttl=MINUTE) for one in workers for _ in range(25))
        )
        assert await workers[0].increment("a", 0, ttl=MINUTE) == 200
        assert await workers[0].increment("b", 1, ttl=MINUTE) == 1
        for one in workers:
            await one.close()

    async def test_a_file_that_is_damaged_is_made_anew(self, tmp_path: Path) -> None:
        path = tmp_path / "counts"
        path.write_bytes(b"no database at all" * 100)
        counter = FileCounter(path)
        with pytest.raises(BackendUnavailableError):
            await counter.increment("a", 1, ttl=MINUTE)
        assert await counter.increment("a", 1, ttl=MINUTE) == 1
        await counter.close()

    async def test_a_folder_that_is_not_there_is_an_outage(self, tmp_path: Path) -> None:
        counter = FileCounter(tmp_path / "none" / "counts")
        with pytest.raises(BackendUnavailableError):
            await counter.increment("a", 1, ttl=MINUTE)
        await counter.close()


class TestOverHttp:
    @pytest.fixture
    def tokens(self, tmp_path: Path) -> Path:
        return tmp_path / "tokens.json"

    @pytest.fixture
    def header(self, tokens: Path) -> Mapping[str, str]:
        return issue(tokens, "one", grant("reader", prefixes=[""]))

    @pytest.fixture
    def settings(
        self,
        tmp_path: Path,
        tokens: Path,
        header: Mapping[str, str],
        clock: ManualClock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Settings:
        del header
        # No other minute begins meanwhile.
        monkeypatch.setattr("sfm_server.limiting.ledger.SystemClock", lambda: clock)
        return Settings(
            memory_mode="test", data_folder=tmp_path, tokens_file=tokens, rate_limit_max=5
        )

    async def test_what_is_beyond_the_limit_is_refused_with_when_to_come_back(
        self, api: httpx.AsyncClient, header: dict[str, str]
    ) -> None:
        answers = [await api.get("/stats", headers=header) for _ in range(7)]
        assert [one.status_code for one in answers] == [200] * 5 + [429] * 2
        last = answers[-1]
        assert last.json()["type"] == "urn:sfm:error:too-many-requests"
        assert 1 <= int(last.headers["retry-after"]) <= 60
        assert last.headers["retry-after"] == last.headers["ratelimit-reset"]
        assert [one.headers["ratelimit-remaining"] for one in answers] == list("4321000")
        assert {one.headers["ratelimit-limit"] for one in answers} == {"5"}
        assert {one.headers["ratelimit-policy"] for one in answers} == {"5;w=60"}

    async def test_guesses_at_tokens_are_counted_by_address(self, api: httpx.AsyncClient) -> None:
        statuses = [
            (await api.get("/stats", headers={"Authorization": f"Bearer {n}"})).status_code
            for n in range(7)
        ]
        assert statuses == [401] * 5 + [429] * 2

    async def test_an_address_cannot_be_made_up(self, api: httpx.AsyncClient) -> None:
        statuses = [
            (await api.get("/stats", headers={"X-Forwarded-For": f"10.0.0.{n}"})).status_code
            for n in range(7)
        ]
        assert statuses == [401] * 5 + [429] * 2

    async def test_guesses_at_paths_are_counted_together(
        self, api: httpx.AsyncClient, header: dict[str, str]
    ) -> None:
        statuses = [(await api.get(f"/x{n}", headers=header)).status_code for n in range(7)]
        assert statuses == [404] * 5 + [429] * 2

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
    async def test_probes_are_not_counted(self, api: httpx.AsyncClient, path: str) -> None:
        assert {(await api.get(path)).status_code for _ in range(20)} == {200}

    async def test_zero_is_no_limit(self, tmp_path: Path) -> None:
        free = create_app(Settings(memory_mode="test", data_folder=tmp_path, rate_limit_max=0))
        transport = httpx.ASGITransport(free)
        async with (
            free.router.lifespan_context(free),
            httpx.AsyncClient(transport=transport, base_url="http://sfm") as client,
        ):
            answer = await client.get("/stats")
        assert "ratelimit-limit" not in answer.headers


def ask(server: Server, path: str, address: str) -> int:
    # A new connection each time, so that every worker gets some.
    headers = {"X-Forwarded-For": address}
    return httpx.get(f"{server.url}{path}", headers=headers, timeout=30).status_code


def minute() -> int:
    return int(time.time() // 60)


def test_four_workers_on_one_folder_let_through_what_one_would(serve: Serve) -> None:
    server = serve(UVICORN_WORKERS="4", SOMA_RATE_LIMIT_MAX="40", SFM_TRUSTED_PROXIES="127.0.0.1")
    callers = (f"10.0.{number}.1" for number in itertools.count())

    def told(words: str) -> int:
        return server.log.read_text().count(words)

    statuses = Counter[int]()
    # Each caller has a count of its own, for the next try where a slow machine has spoilt one:
    # a new minute has begun, or somebody has waited too long for the file.
    for caller in callers:
        while told("counted over all workers again") < told("counts requests alone"):
            ask(server, "/namespaces", next(callers))
        before = told("counts requests alone"), minute()
        with ThreadPoolExecutor(4) as pool:
            statuses = Counter(pool.map(partial(ask, server, "/"), [caller] * 100))
        if (told("counts requests alone"), minute()) == before:
            break
    assert statuses == {200: 40, 429: 60}


def test_a_proxy_that_is_trusted_says_who_asks(serve: Serve) -> None:
    server = serve(SFM_TRUSTED_PROXIES="127.0.0.1", SOMA_RATE_LIMIT_MAX="1", MEMORY_MODE="test")
    statuses: list[int] = []
    # Others ask in the next try, where a new minute has begun in this one.
    for number in itertools.count():
        one, other = f"10.0.{number}.1", f"10.0.{number}.2"
        before = minute()
        statuses = [
            ask(server, "/", addresses) for addresses in (one, other, one, f"6.6.6.6, {other}")
        ]
        if minute() == before:
            break
    assert statuses == [200, 200, 429, 429]
