"""The tokens that are good now, kept up with their file while the server runs."""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from sfm_core.clock import Clock
from sfm_core.errors import ConfigurationError, SfmError
from sfm_server.access.roles import Caller
from sfm_server.access.token_file import read_tokens, signature_of
from sfm_server.whole_file import Signature

log = logging.getLogger(__name__)

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
INTERVAL = timedelta(seconds=1)
"""How often the file is looked at."""


class WatchedTokens:
    """Callers by the digest of their token.

    A file that cannot be used leaves what was read last in force, since a slip
    of an editor must not lock everybody out. A file that is gone leaves
    nothing in force, since whoever removes it means that.

    Attributes:
        trouble: What is wrong with the file, in words for anybody; "" if nothing.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        """Watch the file at `path`, which is read by `load`."""
        self._path = path
        self._clock = clock
        self._callers: Mapping[str, Caller] = {}
        self._signature: Signature | None = None
        self.trouble = ""

    def find(self, digest: str) -> Caller | None:
        """Return who has the token of a digest, or `None`."""
        return self._callers.get(digest)

    def load(self) -> None:
        """Read the file for the first time; this blocks.

        Raises:
            ConfigurationError: There is none, or it cannot be used.
        """
        try:
            self._read()
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"There is no file of tokens at {self._path}.",
                setting="SFM_TOKENS_FILE",
                remedy="Make one with `sfm tokens new`.",
            ) from error

    def look(self) -> None:
        """Read the file again if it has changed; this blocks."""
        now = signature_of(self._path)
        if now is not None and now == self._signature:
            return
        try:
            self._read()
        except FileNotFoundError:
            self._callers = {}
            self._signature = None
            self._say("The file of tokens is gone, so its tokens are refused.")
        except (SfmError, OSError) as error:
            # Nothing is noted of this file, so that it is tried again.
            self._signature = None
            self._say(
                "The file of tokens cannot be used, so what it said before stays in force.", error
            )
        else:
            log.info("%d tokens of %s are in force", len(self._callers), self._path)

    async def watch(self) -> None:
        """Look at the file again and again, without blocking, until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            try:
                await asyncio.to_thread(self.look)
            except Exception:
                # Whatever it is, the next look may go well, and without any revoked tokens stay.
                log.exception("the file of tokens could not be looked at")

    def _read(self) -> None:
        tokens, signature = read_tokens(self._path)
        if self._path.stat().st_mode & _WRITABLE_BY_OTHERS:
            log.warning("%s can be written by others than its owner", self._path)
        self._callers = {one.sha256: one.caller() for one in tokens}
        self._signature = signature
        self.trouble = ""

    def _say(self, trouble: str, error: Exception | None = None) -> None:
        if trouble != self.trouble:
            log.error("%s%s", trouble, f" {error}" if error else "")
        self.trouble = trouble
