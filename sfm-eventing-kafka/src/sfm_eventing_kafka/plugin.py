"""Offers the event sink of this package to the plugin system.

Every program imports this module, also those that choose another backend. So
the driver is imported where it is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfm_core.hookspecs import hookimpl
from sfm_core.protocols.events import EventSink
from sfm_core.registry import SECURE, BackendContext, Register
from sfm_eventing_kafka.settings import SCHEME
from sfm_eventing_kafka.variables import OPTIONS, choose

if TYPE_CHECKING:
    from sfm_eventing_kafka.sink import KafkaEventSink

SFM_API_VERSION = 1


def create_events(url: str, context: BackendContext) -> KafkaEventSink:
    """Make the event sink for a URL; see `choose` for its form."""
    from sfm_eventing_kafka.sink import KafkaEventSink  # noqa: PLC0415 - see above

    return KafkaEventSink(choose(url, context))


@hookimpl
def sfm_register_event_sinks(register: Register[EventSink]) -> None:
    """Offer the topic of a Kafka."""
    register(
        SCHEME,
        create_events,
        capabilities=frozenset({SECURE}),
        options=OPTIONS,
        summary="Events on a topic of Kafka, Redpanda, or whatever speaks their protocol.",
    )
