"""The relay: takes events from the log of the truth to the event sink, in order.

One relay per truth is at work, the one that holds a lock of the truth. What it
publishes begins after the last event that is said to be published, and that is
said when the sink has acknowledged. So whoever takes over may publish some
events once more, and each for the first time in the order of the log, even
while one that was only slow is still at it.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from sfm_core.engine.backoff import Backoff
from sfm_core.engine.locking import Lock, LockLostError, locked
from sfm_core.engine.presence import Presence
from sfm_core.engine.publishing import Progress, Publishing
from sfm_core.engine.stores import Stores
from sfm_core.engine.waking import Waking
from sfm_core.errors import BackendError, ConfigurationError, SfmError
from sfm_core.model.report import Publication
from sfm_core.protocols.observer import Figure

log = logging.getLogger(__name__)

# What is logged meanwhile is published together: each time costs the truth a commit.
GAP = timedelta(milliseconds=100)

# How often to look where nobody tells what other processes have logged.
POLL = timedelta(milliseconds=200)

# How often the others look whether the one at work has left.
LOOK = timedelta(seconds=1)

_NOTHING = Progress(0, more=False)


class Relay:
    """Has events published as soon as they are logged."""

    def __init__(
        self,
        stores: Stores,
        publishing: Publishing,
        presence: Presence,
        waking: Waking,
        backoff: Backoff,
    ) -> None:
        """Work on the truth of `stores`.

        Args:
            stores: The backends.
            publishing: Publishes what is logged.
            presence: Knows whether another truth has taken over.
            waking: Tells when something was logged.
            backoff: How long to pause after a failure.
        """
        self._published = 0
        self._failures = 0
        self._stores = stores
        self._publishing = publishing
        self._presence = presence
        self._waking = waking
        self._logged = waking.logged.bell()
        self._backoff = backoff
        self._reason = self._said = ""

    @property
    def publication(self) -> Publication:
        """What it has published so far."""
        return Publication(events=self._published, failures=self._failures)

    async def run(self) -> None:
        """Publish until cancelled, whenever this relay is the one at work."""
        stores = self._stores
        lease = stores.settings.lease
        while True:
            try:
                async with locked(
                    stores.kv, stores.clock, stores.owner, "relay", lease=lease, look=LOOK
                ) as lock:
                    await self._work(lock)
            except LockLostError as error:
                log.warning("events are published by another process now: %s", error)
            except SfmError as error:
                self._note(error)
                await self._pause()
            except Exception:  # the relay must outlive a defect
                self._failures += 1
                log.exception("events are not published")
                await self._pause()

    async def _work(self, lock: Lock) -> None:
        """Publish until another relay has taken over; hold on to the lock while that fails."""
        while True:
            try:
                done = await self._step(lock)
            except LockLostError:
                raise
            except SfmError as error:
                self._note(error)
                await self._say(error)
                await self._pause()
                continue
            self._succeeded(done)
            if done.events == 0:
                await self._wait()
            elif not done.more:
                await self._stores.clock.sleep(GAP)

    async def _step(self, lock: Lock) -> Progress:
        if self._presence.stopped:
            return _NOTHING
        await lock.ensure()
        return await self._publishing.step()

    async def _wait(self) -> None:
        """Wait until something is logged, or may be."""
        stores = self._stores
        told = self._waking.works or not stores.kv.shared
        pause = asyncio.ensure_future(
            stores.clock.sleep(stores.settings.sweep_interval if told else POLL)
        )
        try:
            await self._logged.heard(pause)
        finally:
            pause.cancel()

    def _succeeded(self, done: Progress) -> None:
        self._published += done.events
        self._stores.observer.count(Figure.EVENTS_PUBLISHED, done.events)
        self._backoff.reset()
        if self._reason:
            self._reason = self._said = ""
            log.info("events are published again")

    def _note(self, error: SfmError) -> None:
        """Count a failure, and log it where the reason is new."""
        self._failures += 1
        self._stores.observer.count(Figure.PUBLISH_FAILURES, 1)
        reason = _reason(error)
        if reason != self._reason:
            self._reason = reason
            log.warning("events are not published: %s: %s", error.code, error)

    async def _say(self, error: SfmError) -> None:
        """Let every process know why events are not published, where the reason is new."""
        if self._said == self._reason:
            return
        try:
            await self._publishing.say(str(error))
            self._said = self._reason
        except SfmError as failure:
            # Then the truth fails as well, which every process sees by itself.
            log.debug("why events are not published is not told to others: %s", failure)

    async def _pause(self) -> None:
        await self._stores.clock.sleep(self._backoff.next())


def _reason(error: SfmError) -> str:
    """Name what is wrong; messages may also tell how often, or for how long yet."""
    match error:
        case BackendError():
            return f"{error.code} {error.backend}"
        case ConfigurationError():
            return f"{error.code} {error.setting}"
        case _:
            return error.code
