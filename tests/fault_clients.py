"""Clients of a server whose stores fail: what they ask, and how they take the answers."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import cast

import httpx

from sfm_core.model.payload import Payload
from tests.crash_oracle import Operation, Result, Slot
from tests.fault_ledger import Ledger, each_of
from tests.fix_server import Json, ServerProcess

KEYS = 4
LINK_TYPE = "next"
# What one call to a backend may take, repetitions included, is 10 s; a write waits as long again
# for the derived stores.
DEADLINE_SECONDS = 25.0
_PAUSE_SECONDS = 0.05
_MOST_DOUBTS = 2

READS = ("recall", "range")
ALL = ("store", "store_many", "delete", "weigh", "link", "unlink", *READS)
_WEIGHTS = (36, 6, 12, 5, 14, 5, 14, 8)


@dataclass(slots=True)
class Tally:
    """What all clients of a run have in common.

    Attributes:
        wanted: Answers after which they stop.
        answered: Answers so far.
        degraded: Requests that the server could not carry out, and said so.
        slowest: The longest that a request took, in seconds.
        over: Set when the last fault is over; nobody stops before that.
    """

    wanted: int
    answered: int = 0
    degraded: int = 0
    slowest: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def done(self) -> bool:
        """Whether the clients may stop."""
        return self.answered >= self.wanted and self.over.is_set()


class FaultyClient:
    """One client, the only one who writes its memories."""

    def __init__(self, server: ServerProcess, number: int, *, seed: int, tally: Tally) -> None:
        self.ledger = Ledger(KEYS)
        self.number = number
        self.space = f"faults-{number % 2}"
        self._server = server
        self._chances = random.Random(f"{seed}/{number}")
        self._tally = tally
        self._clear = True

    async def work(self) -> None:
        """Send requests one after the other until all have sent enough."""
        async with self._server.client(self.space) as http:
            for number in count():
                if self._tally.done:
                    return
                operation = self._choose(f"w{self.number}x{number}")
                self._clear = await self._perform(http, operation)
                self._tally.answered += self._clear
                self._tally.degraded += not self._clear
                if not self._clear:
                    await asyncio.sleep(_PAUSE_SECONDS)

    async def compare(self, http: httpx.AsyncClient) -> None:
        """Compare what is there with what was acknowledged."""
        self.ledger.settles()
        self.ledger.reads([await self._slot(http, key) for key in range(KEYS)])
        self.ledger.follows(frozenset(await self._links(http)))
        for key, known in self.ledger.acknowledged.items():
            await self._compare_history(http, key, known)

    async def _compare_history(
        self, http: httpx.AsyncClient, key: int, known: dict[int, str]
    ) -> None:
        versions = objects(_ok(await http.get(f"{self._path(key)}/history"))["versions"])
        kept = {version["version"]: mark_of(version) for version in versions}
        recent = {at: mark for at, mark in known.items() if at > max(known) - 5}
        assert recent.items() <= kept.items(), (recent, kept)

    async def compare_recall(self, http: httpx.AsyncClient) -> None:
        """Compare what recall finds with what is there."""
        for key in range(KEYS):
            answer = await http.get(self._path(key))
            if answer.status_code == 200:
                text = cast("dict[str, Json]", answer.json()["payload"])["text"]
                found = _ok(await http.post("/recall_with_scores", json={"query": text}))
                coords = [hit["coord"] for hit in objects(found["results"])]
                assert self._coord(key) in coords, f"{text} is not recalled"

    def _choose(self, mark: str) -> Operation:
        doubtful = self.ledger.open
        if len(doubtful) > _MOST_DOUBTS and self._clear:
            # What is in doubt is overtaken, or nobody could keep track of what is possible.
            late = doubtful[0]
            name = "delete" if "link" in late.name else "store"
            return Operation(name=name, keys=late.keys[:1], mark=mark)
        names, weights = (READS, (1, 2)) if doubtful and not self._clear else (ALL, _WEIGHTS)
        name = self._chances.choices(names, weights)[0]
        wanted = {"store_many": KEYS - 1, "link": 2, "unlink": 2}.get(name, 1)
        keys = tuple(self._chances.sample(range(KEYS), wanted))
        return Operation(name=name, keys=keys, mark=mark)

    async def _perform(self, http: httpx.AsyncClient, operation: Operation) -> bool:
        """Send a request, take its answer down, and return whether it was a clear one."""
        begin = monotonic()
        answer = await http.send(self._request(http, operation))
        taken = monotonic() - begin
        self._tally.slowest = max(self._tally.slowest, taken)
        assert taken < DEADLINE_SECONDS, f"{operation} took {taken:.1f} s"
        assert answer.status_code in {200, 404, 503}, f"{operation}: {answer.text}"
        if operation.name in READS:
            return self._shown(operation, answer)
        if operation.name == "store_many":
            return self._stored_many(operation, answer)
        if answer.status_code == 503:
            self.ledger.doubts_about(operation)
            return False
        self.ledger.hears(operation, _result(operation, answer))
        return True

    def _request(self, http: httpx.AsyncClient, operation: Operation) -> httpx.Request:
        first = operation.keys[0]
        bodies: dict[str, tuple[str, Payload]] = {
            "store": ("/store", self._memory(first, operation)),
            "store_many": (
                "/store_bulk",
                {"items": [self._memory(key, operation) for key in operation.keys]},
            ),
            "recall": ("/recall_with_scores", {"query": f"kept under key {first}", "top_k": 10}),
        }
        match operation.name:
            case "delete":
                return http.build_request("DELETE", self._path(first))
            case "weigh":
                return http.build_request("PATCH", self._path(first), json={"importance": 0.9})
            case "range":
                corners = {"min": self._coord(0), "max": self._coord(KEYS)}
                return http.build_request("GET", "/range", params=corners)
            case "link" | "unlink":
                source, target = map(self._coord, operation.keys)
                ends = {"from_coord": source, "to_coord": target, "type": LINK_TYPE}
                return http.build_request("POST", f"/{operation.name}", json=ends)
            case name:
                path, body = bodies[name]
                return http.build_request("POST", path, json=body)

    def _shown(self, operation: Operation, answer: httpx.Response) -> bool:
        if answer.status_code == 503:
            return False
        if operation.name == "range":
            coords = cast("list[str]", _ok(answer)["coords"])
            self.ledger.may_list(key_of(coord) for coord in coords)
            return True
        for hit in objects(_ok(answer)["results"]):
            coord = cast("str", hit["coord"])
            if coord.startswith(f"{self.number},"):
                self.ledger.may_show(key_of(coord), mark_of(hit))
        return True

    def _stored_many(self, operation: Operation, answer: httpx.Response) -> bool:
        if answer.status_code == 503:
            self.ledger.doubts_about(operation)
            return False
        results = cast("list[dict[str, int] | None]", _ok(answer)["results"])
        for part, result in zip(each_of(operation), results, strict=True):
            if result is None:
                self.ledger.doubts_about(part)
            else:
                self.ledger.hears(part, result["version"])
        return None not in results

    async def _slot(self, http: httpx.AsyncClient, key: int) -> Slot | None:
        answer = await http.get(self._path(key))
        if answer.status_code == 404:
            return None
        memory = _ok(answer)
        return Slot(cast("int", memory["version"]), mark_of(memory))

    async def _links(self, http: httpx.AsyncClient) -> set[tuple[int, int]]:
        found: set[tuple[int, int]] = set()
        for key in range(KEYS):
            answer = await http.get("/neighbors", params={"coord": self._coord(key)})
            if answer.status_code == 200:
                for pair in cast("list[list[str]]", answer.json()["neighbors"]):
                    found.add((key, key_of(pair[0])))
        return found

    def _memory(self, key: int, operation: Operation) -> Payload:
        text = f"the {operation.mark} of client {self.number} is kept under key {key}"
        payload: Payload = {"mark": operation.mark, "text": text}
        return {"coord": self._coord(key), "payload": payload}

    def _coord(self, key: int) -> str:
        return f"{self.number},{key}"

    def _path(self, key: int) -> str:
        return f"/memories/{self._coord(key)}"


def _result(operation: Operation, answer: httpx.Response) -> Result:
    there = answer.status_code == 200
    match operation.name:
        case "store" | "weigh" if there:
            return cast("int", answer.json()["version"])
        case "delete" | "unlink":
            return there
        case "link" if there:
            return "linked"
        case _:
            return "missing"


def _ok(answer: httpx.Response) -> dict[str, Json]:
    assert answer.status_code == 200, answer.text
    return cast("dict[str, Json]", answer.json())


def objects(value: Json) -> list[dict[str, Json]]:
    """Return a JSON array as the objects that it consists of."""
    return cast("list[dict[str, Json]]", value)


def mark_of(memory: dict[str, Json]) -> str:
    """Return what a memory is known again by."""
    return cast("str", cast("dict[str, Json]", memory["payload"])["mark"])


def key_of(coord: str) -> int:
    """Return the key that a coordinate stands for."""
    return int(coord.partition(",")[2])
