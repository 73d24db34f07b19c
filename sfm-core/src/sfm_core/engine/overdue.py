"""Looking through the namespaces for what is over: memories, purges, and kept answers.

Nothing of it is urgent. What has expired is never returned, and what was purged was gone
over once. So a round takes little time, unless very much has expired in one namespace, and
the next one goes on where it ended.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from sfm_core.engine.answers import AnswerKeeper
from sfm_core.engine.forget import Forgetting
from sfm_core.engine.second_round import SecondRound
from sfm_core.engine.stores import Stores
from sfm_core.errors import CorruptDataError, EncryptionKeyError
from sfm_core.model.keys import due_purges, ended_answers, expired_range, milliseconds_of

log = logging.getLogger(__name__)

NAMESPACES_AT_ONCE: Final = 100
"""At least as many are looked at in a round, however long it takes."""
ROUND_SECONDS: Final = 0.25
"""No more are looked at after that: of the time of a process, this is a twentieth."""


class Overdue:
    """Has what is over removed, in some namespaces at a time."""

    def __init__(
        self, stores: Stores, forgetting: Forgetting, second: SecondRound, answers: AnswerKeeper
    ) -> None:
        """Look in the truth of `stores`, and have each part do its share."""
        self._stores = stores
        self._forgetting = forgetting
        self._second = second
        self._answers = answers
        self._looked_up_to = ""

    async def remove(self) -> None:
        """Look at the next namespaces, all of them where there is time.

        Raises:
            BackendError: The truth failed; the next call goes on.
        """
        clock = self._stores.clock
        began = clock.monotonic()
        while await self._look_on() and clock.monotonic() - began < ROUND_SECONDS:
            pass
        await self._second.begin()

    async def close(self) -> None:
        """Finish the second round that was begun; call it when no more are."""
        await self._second.close()

    async def _look_on(self) -> bool:
        """Look at the next namespaces; tell whether there are more."""
        page = await self._stores.kv.namespaces(after=self._looked_up_to, limit=NAMESPACES_AT_ONCE)
        for namespace in page:
            with _telling(namespace):
                await self._remove(namespace)
        more = len(page) == NAMESPACES_AT_ONCE
        self._looked_up_to = page[-1] if more else ""
        return more

    async def _remove(self, namespace: str) -> None:
        now = self._stores.clock.now()
        # Most often there is nothing, and one question tells.
        ranges = [expired_range(now), due_purges(now), ended_answers(milliseconds_of(now))]
        parts = (self._forgetting.sweep_expired, self._second.take, self._answers.sweep)
        found = await self._stores.kv.scan(namespace, ranges, limit=1)
        for part, due in zip(parts, found, strict=True):
            with _telling(namespace):
                if due:
                    await part(namespace)


@contextmanager
def _telling(namespace: str) -> Generator[None]:
    """Log what cannot be read; the rest, and other namespaces, have their turn all the same."""
    try:
        yield
    except (CorruptDataError, EncryptionKeyError) as error:
        log.warning("what is over stays in %r: %s: %s", namespace, error.code, error)
