"""The handlers of the engine keep the contract that third parties' are held to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import jsonschema_rs
import pytest
from engine_house import SETTINGS, House, open_house
from replica_house import Replica, held, open_replica

from sfm_core.engine.consuming.indexer import IndexerHandler
from sfm_core.engine.consuming.replica import ReplicaHandler
from sfm_core.model.cloudevents import cloudevent
from sfm_core.model.events import Event
from sfm_core.testing.contracts import EventHandlerContract
from sfm_core.testing.event_samples import link_deleted, link_stored, memory_deleted, memory_stored
from sfm_core.testing.samples import coordinate

SCHEMAS = Path(__file__).resolve().parents[3] / "docs" / "reference" / "events" / "v1"
A, B = coordinate(1.0), coordinate(2.5)


class TestReplica(EventHandlerContract):
    @pytest.fixture(autouse=True)
    async def replica(self) -> AsyncIterator[Replica]:
        async with open_house() as house, open_replica(house, SETTINGS) as made:
            self._replica = made
            yield made

    @pytest.fixture
    def make(self, replica: Replica) -> Callable[[], ReplicaHandler]:
        return replica.handler

    async def effect(self) -> object:
        return await held(self._replica.kv)


class TestIndexer(EventHandlerContract):
    @pytest.fixture(autouse=True)
    async def house(self) -> AsyncIterator[House]:
        async with open_house() as made, made.open():
            self._house = made
            yield made

    @pytest.fixture
    def make(self, house: House) -> Callable[[], IndexerHandler]:
        return lambda: IndexerHandler(house.open)

    async def effect(self) -> object:
        return await self._house.points(), await self._house.outbox_depth()


@pytest.mark.parametrize(
    "event",
    [
        memory_stored("n", A),
        memory_deleted("n", A),
        link_stored("n", A, B),
        link_deleted("n", A, B),
    ],
    ids=lambda event: event.type,
)
def test_the_events_of_the_kit_are_as_their_schemas_say(event: Event) -> None:
    text = (SCHEMAS / f"{event.type}.json").read_text(encoding="utf-8")
    schema = jsonschema_rs.Draft202012Validator(json.loads(text), validate_formats=True)
    schema.validate(json.loads(json.dumps(cloudevent(event))))
