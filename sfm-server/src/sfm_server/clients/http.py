"""A memory behind HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from typing import Literal, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from sfm_core import errors
from sfm_server.clients.answers import checked, decoded, error_of
from sfm_server.clients.protocol import Item, Progress, Question
from sfm_server.clients.streams import blocks_of, lines_of
from sfm_server.idempotency import key_header
from sfm_server.picked import Picked
from sfm_server.schemas import links
from sfm_server.schemas.admin import CheckAnswer, ImportAnswer, ImportMode, RebuildAnswer
from sfm_server.schemas.collections import CollectionsAnswer, DroppedAnswer
from sfm_server.schemas.events import EventsAnswer, ReplayAnswer
from sfm_server.schemas.listings import CoordsAnswer
from sfm_server.schemas.memories import (
    DeletedAnswer,
    DeletedManyAnswer,
    HistoryAnswer,
    MemoryAnswer,
    StoredAnswer,
    StoredManyAnswer,
)
from sfm_server.schemas.purges import PurgedAnswer, PurgedManyAnswer
from sfm_server.schemas.recall import ResultsAnswer
from sfm_server.schemas.system import HealthAnswer, StatsAnswer
from sfm_server.schemas.values import TypeName

AnswerT = TypeVar("AnswerT")
Query = Mapping[str, str | int | Sequence[str]]

_LINES = "application/x-ndjson"
_BACKEND = "http"
_WAIT_SECONDS = 20
_PURGE: Query = {"purge": "true"}


class HttpClient:
    """Uses a running server; see `MemoryClient`."""

    def __init__(self, http: httpx.AsyncClient, *, namespace: str | None) -> None:
        """Use `http`, which the caller closes, in `namespace` or the server's default."""
        self._http = http
        # The library encodes headers as Latin-1; the server reads the bytes as UTF-8.
        self._headers = (
            {}
            if namespace is None
            else {"X-SFM-Namespace": namespace.encode(errors="replace").decode("latin-1")}
        )

    async def store(self, item: Item, *, key: str | None = None) -> StoredAnswer:
        """Store a memory."""
        path = "/remember" if item.coord is None else "/store"
        return await self._post(path, _item_body(item), StoredAnswer, key=key)

    async def store_many(
        self, items: Sequence[Item], *, key: str | None = None
    ) -> StoredManyAnswer:
        """Store many memories, each at a coordinate that it names."""
        body = {"items": [_item_body(item) for item in items]}
        return await self._post("/store_bulk", body, StoredManyAnswer, key=key)

    async def recall(self, question: Question) -> ResultsAnswer:
        """Recall what answers a question."""
        body = _without_none(msgspec.to_builtins(question))
        if not question.context:
            del body["context"]
        path = "/recall_with_context" if question.context else "/recall_with_scores"
        return await self._post(path, body, ResultsAnswer)

    async def get(self, coord: str, *, as_of: str | None = None) -> MemoryAnswer:
        """Read a memory."""
        path = f"/memories/{quote(coord, safe=',')}"
        return await self._get(path, _given(as_of=as_of), MemoryAnswer)

    async def history(self, coord: str, limit: int, *, cursor: str | None = None) -> HistoryAnswer:
        """Read the kept versions of a memory."""
        path = f"/memories/{quote(coord, safe=',')}/history"
        query: Query = {"limit": limit, **_given(cursor=cursor)}
        return await self._get(path, query, HistoryAnswer)

    async def delete(
        self, coord: str, expected_version: int | None, *, key: str | None = None
    ) -> DeletedAnswer:
        """Delete a memory; `NotFoundError` if there is none."""
        query = {} if expected_version is None else {"expected_version": expected_version}
        path = f"/memories/{quote(coord, safe=',')}"
        return await self._answer("DELETE", path, DeletedAnswer, query=query, key=key)

    async def delete_many(
        self, coords: Sequence[str], *, key: str | None = None, dry_run: bool = False
    ) -> DeletedManyAnswer:
        """Delete many memories, passing over those that do not exist."""
        body: dict[str, object] = {"coords": list(coords), "dry_run": dry_run}
        return await self._post("/delete_many", body, DeletedManyAnswer, key=key)

    async def delete_picked(
        self, picked: Picked, *, key: str | None = None, dry_run: bool = False
    ) -> DeletedManyAnswer:
        """Delete what a filter picks among so many memories."""
        body = {"dry_run": dry_run} | _without_none(asdict(picked))
        return await self._post("/delete_many", body, DeletedManyAnswer, key=key)

    async def purge(self, coords: Sequence[str], *, key: str | None = None) -> PurgedAnswer:
        """Remove memories for good, those that were deleted before, too."""
        if len(coords) == 1:
            path = f"/memories/{quote(coords[0], safe=',')}"
            return await self._answer("DELETE", path, PurgedAnswer, query=_PURGE, key=key)
        body = {"coords": list(coords), "purge": True}
        return await self._post("/delete_many", body, PurgedAnswer, key=key)

    async def purge_picked(self, picked: Picked, *, key: str | None = None) -> PurgedManyAnswer:
        """Remove for good what a filter picks among so many memories."""
        body = {"purge": True} | _without_none(asdict(picked))
        return await self._post("/delete_many", body, PurgedManyAnswer, key=key)

    async def link(
        self,
        source: str,
        target: str,
        type_name: str,
        weight: float,
        *,
        key: str | None = None,
    ) -> links.LinkedAnswer:
        """Link two memories."""
        body = {"from_coord": source, "to_coord": target, "type": type_name, "weight": weight}
        return await self._post("/link", body, links.LinkedAnswer, key=key)

    async def unlink(
        self, source: str, target: str, type_name: str, *, key: str | None = None
    ) -> links.UnlinkedAnswer:
        """Remove a link; `NotFoundError` if there is none."""
        body = {"from_coord": source, "to_coord": target, "type": type_name}
        return await self._post("/unlink", body, links.UnlinkedAnswer, key=key)

    async def neighbors(
        self,
        coord: str,
        *,
        link_type: str | None,
        direction: Literal["out", "in"],
        limit: int,
        min_position: str | None = None,
        cursor: str | None = None,
    ) -> links.NeighborsAnswer:
        """List the links at a memory."""
        query: dict[str, str | int] = {"coord": coord, "direction": direction, "limit": limit}
        query |= _given(link_type=link_type, min_position=min_position, cursor=cursor)
        return await self._get("/neighbors", query, links.NeighborsAnswer)

    async def path(
        self, source: str, target: str, link_type: str | None, *, min_position: str | None = None
    ) -> links.PathAnswer:
        """Find the shortest path between two memories."""
        query = {"frm": source, "to": target}
        query |= _given(link_type=link_type, min_position=min_position)
        return await self._get("/shortest_path", query, links.PathAnswer)

    async def range(
        self,
        low: str,
        high: str,
        *,
        type_name: TypeName | None,
        limit: int,
        cursor: str | None = None,
        as_of: str | None = None,
    ) -> CoordsAnswer:
        """List the coordinates in a box."""
        query: dict[str, str | int] = {"min": low, "max": high, "limit": limit}
        query |= _given(type=type_name, cursor=cursor, as_of=as_of)
        return await self._get("/range", query, CoordsAnswer)

    async def stats(self) -> StatsAnswer:
        """Count memories and links."""
        return await self._get("/stats", {}, StatsAnswer)

    async def health(self) -> HealthAnswer:
        """Ask every backend how it does."""
        response = await self._send("GET", "/health")
        # A backend that is down is what was asked about, not a failure of the question.
        return decoded(response, HealthAnswer)

    async def export(self, namespaces: Sequence[str] | None) -> AsyncGenerator[bytes]:
        """Read everything as JSON Lines, without line ends."""
        query: Query = {} if namespaces is None else {"namespaces": list(namespaces)}
        try:
            async with self._http.stream(
                "GET", "/export_memories", params=query, headers=self._headers
            ) as response:
                if response.is_error:
                    await response.aread()
                    raise error_of(response)
                async for line in lines_of(response):
                    yield line
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _unreachable(self._http, error) from error

    async def import_lines(
        self,
        lines: AsyncGenerator[bytes],
        progress: Progress,
        *,
        mode: ImportMode = ImportMode.LINES,
        key: str | None = None,
    ) -> ImportAnswer:
        """Store what JSON Lines say; progress is what was sent."""
        response = await self._send(
            "POST",
            "/import_memories",
            query={"mode": mode.value},
            content=blocks_of(lines, progress),
            headers={"Content-Type": _LINES} | key_header(key),
        )
        return checked(response, ImportAnswer)

    async def collections(self) -> CollectionsAnswer:
        """List the collections of the vector store."""
        return await self._answer("GET", "/collections", CollectionsAnswer)

    async def drop_collection(self, name: str) -> DroppedAnswer:
        """Drop a collection that nothing needs."""
        return await self._answer("DELETE", f"/collections/{quote(name, safe='')}", DroppedAnswer)

    async def rebuild(self, progress: Progress) -> RebuildAnswer:
        """Remake every derived store; progress is told at the end."""
        answer = await self._answer("POST", "/rebuild", RebuildAnswer)
        progress(answer.rebuilt)
        return answer

    async def check(self, *, repair: bool, progress: Progress) -> CheckAnswer:
        """Compare derived stores with the truth; progress is told at the end."""
        answer = await self._post("/check", {"repair": repair}, CheckAnswer)
        progress(answer.memories + answer.links)
        return answer

    async def follow_events(
        self, after: str, types: Sequence[str], *, all_namespaces: bool
    ) -> AsyncGenerator[EventsAnswer]:
        """Read the event log, and go on with what happens."""
        query: dict[str, str | int | Sequence[str]] = {"wait_seconds": _WAIT_SECONDS}
        query |= {"types": list(types)} if types else {}
        query |= {"all_namespaces": "true"} if all_namespaces else {}
        while True:
            page = await self._get("/events/page", {**query, "after": after}, EventsAnswer)
            after = page.position
            yield page

    async def replay_events(
        self,
        since: str,
        namespaces: Sequence[str] | None,
        *,
        dry_run: bool,
        progress: Progress,
    ) -> ReplayAnswer:
        """Tell again what changed since a time; progress is told at the end."""
        body = _without_none({"from": since, "namespaces": namespaces, "dry_run": dry_run})
        answer = await self._post("/events/replay", body, ReplayAnswer)
        progress(answer.events)
        return answer

    async def _get(self, path: str, query: Query, form: type[AnswerT]) -> AnswerT:
        return await self._answer("GET", path, form, query=query)

    async def _post(
        self, path: str, body: object, form: type[AnswerT], *, key: str | None = None
    ) -> AnswerT:
        return await self._answer("POST", path, form, content=_encoded(body), key=key)

    async def _answer(
        self,
        method: str,
        path: str,
        form: type[AnswerT],
        *,
        query: Query | None = None,
        content: bytes | None = None,
        key: str | None = None,
    ) -> AnswerT:
        headers = key_header(key)
        if content is not None:
            headers["Content-Type"] = "application/json"
        response = await self._send(method, path, query=query, content=content, headers=headers)
        return checked(response, form)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return await self._http.request(
                method,
                path,
                params=query,
                content=content,
                headers={**self._headers, **(headers or {})},
            )
        except httpx.TransportError as error:
            raise _unreachable(self._http, error) from error


def open_http(url: str, *, token: str | None) -> httpx.AsyncClient:
    """Return a connection to a server; long work has no time limit.

    Args:
        url: Base URL of the server.
        token: Bearer token, if the server wants one.

    Returns:
        The connection, to be closed by the caller.

    Raises:
        ConfigurationError: The URL is malformed.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if not url.startswith(("http://", "https://")):
        raise errors.ConfigurationError(
            f"{url!r} is no URL of a server.",
            setting="--url",
            remedy="Write it like http://localhost:9595.",
        )
    return httpx.AsyncClient(
        base_url=url, headers=headers, timeout=httpx.Timeout(None, connect=10.0)
    )


def _item_body(item: Item) -> dict[str, object]:
    return _without_none(msgspec.to_builtins(item))


def _encoded(body: object) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as error:
        raise errors.InvalidInputError(
            "A text holds half of a surrogate pair.",
            field="payload",
            remedy="Send whole Unicode characters.",
        ) from error


def _without_none(document: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in document.items() if value is not None}


def _given(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value is not None}


def _unreachable(http: httpx.AsyncClient, error: httpx.RequestError) -> errors.SfmError:
    reason = str(error) or type(error).__name__
    return errors.BackendUnavailableError(
        f"{http.base_url} does not answer: {reason}.",
        backend=_BACKEND,
        remedy="Check the URL, and that the server runs.",
    )
