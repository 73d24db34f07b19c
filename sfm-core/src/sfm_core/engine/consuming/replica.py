"""The handler that builds a complete copy of a memory in another truth, from its events alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from uuid import uuid4

from sfm_core.clock import Clock
from sfm_core.engine.changes import Change
from sfm_core.engine.committer import Committer
from sfm_core.engine.consuming.applying import Applied, Applying
from sfm_core.engine.index import without_credentials
from sfm_core.engine.opening import BackendMaker
from sfm_core.engine.presence import leave_if_possible
from sfm_core.engine.replicas import become_replica, replica_presence
from sfm_core.engine.truth import Truth
from sfm_core.errors import (
    ClosedError,
    ConfigurationError,
    CorruptDataError,
    InvalidInputError,
    SfmError,
)
from sfm_core.handling import HandlerContext
from sfm_core.model.events import Event
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.observer import UNOBSERVED, Observer
from sfm_core.registry import FLEETING, PortName
from sfm_core.resilience import Policy
from sfm_core.settings import EngineSettings

SCHEME = "replica"
MAX_PORTION_BYTES = 8 << 20
"""Content that one call of the store is given, unless a single memory is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replica:
    """An open replica, as its committer sees it."""

    kv: KeyValueStore
    owner: str
    settings: EngineSettings
    observer: Observer = UNOBSERVED


class ReplicaHandler:
    """Writes to a replica what events say, by version.

    An event that comes twice or late changes nothing but, where it tells of a
    version that is within the limit of history and lacks there, the history.
    """

    def __init__(
        self,
        make: Callable[[], KeyValueStore],
        *,
        place: str,
        clock: Clock,
        settings: EngineSettings,
    ) -> None:
        """Open nothing yet.

        Args:
            make: Makes the key-value store of the replica.
            place: How its URL begins, for messages.
            clock: Source of time.
            settings: Say how much history is kept; the same as on the servers.
        """
        self._make = make
        self._place = place
        self._clock = clock
        self._settings = settings
        self._stack = AsyncExitStack()
        self._parts: tuple[Applying, Committer] | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            kv = await stack.enter_async_context(self._make())
            owner, lease = str(uuid4()), self._settings.lease
            await become_replica(kv, self._clock, owner, self._place, lease=lease)
            presence = replica_presence(kv, self._clock, owner, lease=lease)
            stack.push_async_callback(leave_if_possible, presence)
            replica = _Replica(kv=kv, owner=owner, settings=self._settings)
            committer = Committer(replica, presence)
            stack.push_async_callback(committer.close)
            self._parts = Applying(Truth(kv), self._settings.history_limit), committer
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._parts = None
        await self._stack.aclose()

    async def handle(self, events: Sequence[Event]) -> list[SfmError | None]:
        """Apply events; see `EventHandler.handle`.

        Raises:
            ConfigurationError: Payloads are kept out of the events.
            SupersededError: It is a replica no more.
            BackendError: The replica failed; some events may be applied.
            ClosedError: It is not open.
        """
        if self._parts is None:
            raise ClosedError("The event handler is not open.")
        applying, committer = self._parts
        outcomes: list[SfmError | None] = []
        applied: list[Applied] = []
        for event in events:
            found, refusal = _planned(applying, event)
            outcomes.append(refusal)
            applied += [] if found is None else [found]
        for changes in _in_portions(applied):
            await committer.commit_all(changes)
        return outcomes


def make_replica(url: str, context: HandlerContext) -> ReplicaHandler:
    """Make the handler; see `HandlerFactory`.

    Args:
        url: `replica:` and the URL of a key-value store.
        context: Knows the stores.

    Returns:
        The handler, not open.

    Raises:
        ConfigurationError: It names no store that lasts, or one that cannot work.
    """
    target = url.partition(":")[2]
    if not target:
        raise ConfigurationError(
            f"{url!r} names no key-value store.",
            setting="SFM_CONSUMER_HANDLERS",
            remedy="Write its URL after the colon: `replica:postgresql://host/database`.",
        )
    place = without_credentials(target)
    if FLEETING in context.registry.find(PortName.KV, target).capabilities:
        raise ConfigurationError(
            f"{place} holds nothing any more when it is closed.",
            setting="SFM_CONSUMER_HANDLERS",
            remedy="Name a key-value store that lasts.",
        )
    maker = BackendMaker(context.registry, context.backends, Policy())
    # What cannot work is told now, not when it is opened.
    maker.kv(target)
    return ReplicaHandler(
        lambda: maker.kv(target),
        place=place,
        clock=context.backends.clock,
        settings=context.settings,
    )


def _planned(applying: Applying, event: Event) -> tuple[Applied | None, SfmError | None]:
    try:
        return applying.change(event), None
    except (InvalidInputError, CorruptDataError) as error:
        return None, error


def _in_portions(applied: Sequence[Applied]) -> Iterator[list[Change]]:
    """Split changes so that no commit is too large to be carried out in time."""
    portion: list[Change] = []
    size = 0
    for one in applied:
        if portion and size + one.size > MAX_PORTION_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(one.change)
        size += one.size
    if portion:
        yield portion
