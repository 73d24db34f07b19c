"""Posts events to a receiver: those of a memory in order, those of several at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

import httpx
import msgspec

from sfm_core.clock import Clock
from sfm_core.errors import BackendError, BackendUnavailableError, ClosedError, SfmError
from sfm_core.model.cloudevents import MEDIA_TYPE, cloudevent
from sfm_core.model.events import Event
from sfm_server.webhook.posting import Answer, post, rest_of
from sfm_server.webhook.signing import Signer

CONCURRENCY = 8
"""How many memories' events are on their way at once."""

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who gets the events, and how patient to be.

    Attributes:
        url: Where to post; may hold what is secret.
        place: The same for messages: scheme, host and port.
        scheme: The scheme that chose the handler.
        signer: Signs what is posted.
        deadline: Longest that one try may take.
        attempts: How often an event is tried.
    """

    url: str
    place: str
    scheme: str
    signer: Signer
    deadline: timedelta
    attempts: int


class WebhookHandler:
    """Delivers each event at least once, or says why not.

    An event that a receiver refuses, or that it could not take after all tries,
    is rejected. The one after it goes its way: receivers apply by version.
    Where a receiver is down, only the first events are tried again and again;
    until it takes one, each other is tried once.
    """

    def __init__(self, receiver: Receiver, clock: Clock) -> None:
        """Deliver to `receiver`, measuring pauses on `clock`."""
        self._receiver = receiver
        self._clock = clock
        self._stack = AsyncExitStack()
        self._client: httpx.AsyncClient | None = None
        self._turns = asyncio.Semaphore(CONCURRENCY)
        self._rests_until = float("-inf")
        self._is_down = False

    async def __aenter__(self) -> Self:
        client = httpx.AsyncClient(
            headers={"content-type": MEDIA_TYPE, "user-agent": "somafractalmemory"},
            limits=httpx.Limits(max_connections=CONCURRENCY),
            timeout=self._receiver.deadline.total_seconds(),
            follow_redirects=False,
        )
        self._client = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client = None
        await self._stack.aclose()

    async def handle(self, events: Sequence[Event]) -> list[SfmError | None]:
        """Deliver events; see `EventHandler.handle`.

        Raises:
            ClosedError: It is not open.
        """
        if self._client is None:
            raise ClosedError("The event handler is not open.")
        outcomes: list[SfmError | None] = [None] * len(events)
        memories: dict[tuple[str, str], list[int]] = {}
        for number, event in enumerate(events):
            memories.setdefault((event.source, event.subject), []).append(number)

        async def deliver(client: httpx.AsyncClient, numbers: Sequence[int]) -> None:
            async with self._turns:
                for number in numbers:
                    outcomes[number] = await self._deliver(client, events[number])

        async with asyncio.TaskGroup() as group:
            for numbers in memories.values():
                group.create_task(deliver(self._client, numbers))
        return outcomes

    async def _deliver(self, client: httpx.AsyncClient, event: Event) -> SfmError | None:
        body = msgspec.json.encode(cloudevent(event))
        tries = 0
        while True:
            answer = await self._try(client, event.id, body)
            tries += 1
            if not answer.problem:
                self._is_down = False
                return None
            if answer.lasts:
                return self._refused(answer)
            if self._is_down or tries >= self._receiver.attempts:
                self._is_down = True
                return self._not_taken(answer, tries)
            await self._clock.sleep(_pause(tries))

    async def _try(self, client: httpx.AsyncClient, identity: str, body: bytes) -> Answer:
        rest = self._rests_until - self._clock.monotonic()
        if rest > 0:
            await self._clock.sleep(timedelta(seconds=rest))
        receiver = self._receiver
        headers = receiver.signer.headers(identity, body, self._clock.now())
        answer = await post(client, receiver.url, body, headers, deadline=receiver.deadline)
        asked = rest_of(answer.retry_after, self._clock.now()).total_seconds()
        self._rests_until = max(self._rests_until, self._clock.monotonic() + asked)
        return answer

    def _refused(self, answer: Answer) -> SfmError:
        return BackendError(
            f"{self._receiver.place} {answer.problem}.", backend=self._receiver.scheme
        )

    def _not_taken(self, answer: Answer, tries: int) -> SfmError:
        times = f" the last of {tries} times" if tries > 1 else ""
        return BackendUnavailableError(
            f"{self._receiver.place} {answer.problem}{times}.", backend=self._receiver.scheme
        )


def _pause(tries: int) -> timedelta:
    """Return how long to wait after so many tries: anything up to a limit that doubles."""
    longest = min(FIRST_PAUSE * float(2 ** min(tries - 1, 20)), LONGEST_PAUSE)
    return longest * random.random()  # noqa: S311 - no secret depends on it
