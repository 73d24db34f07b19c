"""The contract of the key-value port."""

from __future__ import annotations

from sfm_core.testing.contracts._kv_commits import CommitTests
from sfm_core.testing.contracts._kv_entries import EntryTests
from sfm_core.testing.contracts._kv_events import EventLogTests
from sfm_core.testing.contracts._kv_outbox import OutboxTests


class KeyValueStoreContract(EntryTests, CommitTests, OutboxTests, EventLogTests):
    """Everything that `KeyValueStore` promises.

    Override `make`, and hand `clock` to your store if it takes one. Where the
    server keeps the time, override `clock` with a `WaitingClock` and shorten `lease`.
    """
