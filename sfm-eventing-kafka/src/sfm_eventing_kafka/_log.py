"""What the driver writes to the log while brokers are away, said once for each outage."""

from __future__ import annotations

import logging
from collections import OrderedDict

_DRIVER = "aiokafka"
_LONGEST_PAUSE_SECONDS = 120.0
"""Longer than anybody waits before brokers that are away are asked again."""
_MOST = 100


class OncePerOutage(logging.Filter):
    """Lets a message pass that was not there lately; what only goes on is told by who publishes."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        super().__init__()
        self._seen: OrderedDict[str, float] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is written.

        Args:
            record: What the driver has to say.

        Returns:
            Whether it is none of the kind, or has not been said for longer than tries are apart.
        """
        if not str(record.msg).startswith("Unable "):
            return True
        message = record.getMessage()
        before = self._seen.pop(message, float("-inf"))
        self._seen[message] = record.created
        if len(self._seen) > _MOST:
            self._seen.popitem(last=False)
        return record.created - before > _LONGEST_PAUSE_SECONDS


_once = OncePerOutage()


def quieten() -> None:
    """Have the driver say once for each outage that brokers are away."""
    logging.getLogger(_DRIVER).addFilter(_once)
