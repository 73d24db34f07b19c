"""The parts of an engine that operations are carried out by."""

from __future__ import annotations

from dataclasses import dataclass

from sfm_core.engine.access import AccessRecorder
from sfm_core.engine.adopting import Adopting
from sfm_core.engine.build import Builder
from sfm_core.engine.check import Checking
from sfm_core.engine.clearing import Clearing
from sfm_core.engine.explaining import Explaining
from sfm_core.engine.exporting import Exporting
from sfm_core.engine.following import Following
from sfm_core.engine.forget import Forgetting
from sfm_core.engine.importing import Importing
from sfm_core.engine.indexes import Indexes
from sfm_core.engine.links import Linking
from sfm_core.engine.listing import Listing
from sfm_core.engine.overdue import Overdue
from sfm_core.engine.paths import PathFinding
from sfm_core.engine.positions import Positions
from sfm_core.engine.presence import Presence
from sfm_core.engine.purging import Purging
from sfm_core.engine.reading import Reading
from sfm_core.engine.recall import Recalling
from sfm_core.engine.relay import Relay
from sfm_core.engine.remember import Remembering
from sfm_core.engine.replay import Replaying
from sfm_core.engine.shelving import Shelving
from sfm_core.engine.stores import Stores
from sfm_core.engine.timely import Timely


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of an engine, one per kind of work; without an event sink there is no relay."""

    stores: Stores
    presence: Presence
    positions: Positions
    indexes: Indexes
    builder: Builder
    shelving: Shelving
    adopting: Adopting
    remembering: Remembering
    forgetting: Forgetting
    clearing: Clearing
    purging: Purging
    reading: Reading
    listing: Listing
    recalling: Recalling
    timely: Timely
    explaining: Explaining
    linking: Linking
    paths: PathFinding
    access: AccessRecorder
    checking: Checking
    exporting: Exporting
    importing: Importing
    replaying: Replaying
    overdue: Overdue
    following: Following
    relay: Relay | None


class Operations:
    """Something that carries out operations by the parts of an engine."""

    def __init__(self, parts: Parts) -> None:
        """Work with parts that `open_engine` has put together."""
        self._parts = parts
