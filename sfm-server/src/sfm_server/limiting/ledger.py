"""Counts requests a minute over all workers, asking the shared counter only now and then."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from sfm_core.clock import Clock, SystemClock
from sfm_core.errors import SfmError

log = logging.getLogger(__name__)

WINDOW = 60
"""Seconds that one count is for."""
PATIENCE = timedelta(milliseconds=500)
"""How long a shared counter is waited for."""
ALONE_FOR = timedelta(seconds=5)
"""How long a counter that does not answer is not asked."""
MAX_ACCOUNTS = 100_000
KNOWN = "token "
"""Begins what a caller with a token is counted as, of whom there are not so many."""
_SHARE = 100


class SharedCounter(Protocol):
    """What counts for all workers; the cache port does."""

    async def increment(self, key: str, amount: int, *, ttl: timedelta) -> int:
        """Add to a counter and return its value."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether one request is within the limit.

    Attributes:
        allowed: Whether it is.
        remaining: How many more are, at least as far as this worker knows.
        reset_seconds: When counting begins anew.
    """

    allowed: bool
    remaining: int
    reset_seconds: int


@dataclass(slots=True)
class _Account:
    """One caller at one endpoint in this minute.

    Requests are taken from the shared counter in blocks, so that most need not
    ask it. A block that this worker has taken and not used is lost to the
    others, which can only make the limit come early, by less than a block.
    """

    granted: int = 0
    left: int = 0
    used: int = 0
    spent: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def wanting(self) -> bool:
        """Whether more has to be claimed before anything can be said."""
        return not self.granted and not self.spent


class Ledger:
    """Decides about requests by how many there were in this minute."""

    def __init__(self, limit: int, *, clock: Clock | None = None) -> None:
        """Count to `limit` a minute, alone until `count_in` names a shared counter."""
        self._limit = limit
        self._clock = clock or SystemClock()
        self._counter: SharedCounter | None = None
        self._block = max(1, limit // _SHARE)
        self._minute = 0
        self._accounts: dict[tuple[str, str], _Account] = {}
        self._alone_until = 0.0

    @property
    def limit(self) -> int:
        """Requests a minute."""
        return self._limit

    def count_in(self, counter: SharedCounter | None) -> None:
        """Count in what all workers share from now on, or alone."""
        self._counter = counter

    async def take(self, caller: str, endpoint: str) -> Verdict:
        """Count a request.

        Args:
            caller: Who sends it.
            endpoint: What for.

        Returns:
            Whether it is within the limit.
        """
        now = self._clock.now().timestamp()
        minute = int(now // WINDOW)
        if minute != self._minute:
            self._minute, self._accounts = minute, {}
        key = caller, endpoint
        full = len(self._accounts) >= MAX_ACCOUNTS and not caller.startswith(KNOWN)
        if full and key not in self._accounts:
            # Somebody has a great many addresses; those that are new share one account.
            key = "many", endpoint
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = _Account()
        while account.wanting:
            async with account.lock:
                await self._claim(account, _name(minute, *key))
        allowed = bool(account.granted)
        if allowed:
            account.granted -= 1
            account.used += 1
        return Verdict(
            allowed=allowed,
            remaining=account.granted + account.left,
            reset_seconds=math.ceil((minute + 1) * WINDOW - now) or 1,
        )

    async def _claim(self, account: _Account, key: str) -> None:
        """Have more requests granted, by the shared counter if it answers."""
        if not account.wanting:
            # Another request has seen to that meanwhile.
            return
        counter, now = self._counter, self._clock.monotonic()
        if counter is None or now < self._alone_until:
            self._claim_alone(account)
            return
        if self._alone_until:
            # One request finds out whether it is back; the others do not wait for that.
            self._alone_until = now + ALONE_FOR.total_seconds()
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                total = await counter.increment(key, self._block, ttl=timedelta(seconds=2 * WINDOW))
        except (TimeoutError, SfmError) as error:
            if not self._alone_until:
                why = str(error) or "the shared counter does not answer"
                log.warning("each worker counts requests alone, for now: %s", why)
            self._alone_until = now + ALONE_FOR.total_seconds()
            self._claim_alone(account)
            return
        if self._alone_until:
            log.info("requests are counted over all workers again")
            self._alone_until = 0.0
        account.granted = min(self._block, max(0, self._limit - (total - self._block)))
        account.left = max(0, self._limit - total)
        account.spent = not account.granted

    def _claim_alone(self, account: _Account) -> None:
        """Grant what is left of the whole limit: rather too much than to refuse everybody."""
        account.granted = min(self._block, max(0, self._limit - account.used))
        account.left = max(0, self._limit - account.used - account.granted)
        account.spent = not account.granted


def _name(minute: int, caller: str, endpoint: str) -> str:
    """Return what an account is called where it is shared, which tells nobody whose it is."""
    known = hashlib.sha256(f"{caller}\0{endpoint}".encode(errors="replace")).hexdigest()
    return f"rate:{minute}:{known[:32]}"
