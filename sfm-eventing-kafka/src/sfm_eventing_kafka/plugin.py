"""Offers the event sink and the event source of this package to the plugin system.

Every program imports this module, also those that choose another backend. So
the driver is imported where it is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfm_core.hookspecs import hookimpl
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.source import EventSource
from sfm_core.registry import SECURE, BackendContext, Register
from sfm_eventing_kafka.settings import SCHEME
from sfm_eventing_kafka.variables import OPTIONS, SOURCE_OPTIONS, choose, choose_source

if TYPE_CHECKING:
    from sfm_eventing_kafka.sink import KafkaEventSink
    from sfm_eventing_kafka.source import KafkaEventSource

SFM_API_VERSION = 1


def create_events(url: str, context: BackendContext) -> KafkaEventSink:
    """Make the event sink for a URL; see `choose` for its form."""
    from sfm_eventing_kafka.sink import KafkaEventSink  # noqa: PLC0415 - see above

    return KafkaEventSink(choose(url, context))


def create_source(url: str, context: BackendContext) -> KafkaEventSource:
    """Make the event source for a URL; see `choose_source` for its form."""
    from sfm_eventing_kafka.source import KafkaEventSource  # noqa: PLC0415 - see above

    return KafkaEventSource(choose_source(url, context), context.clock)


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


@hookimpl
def sfm_register_event_sources(register: Register[EventSource]) -> None:
    """Offer what reads the topic of a Kafka."""
    register(
        SCHEME,
        create_source,
        capabilities=frozenset({SECURE}),
        options=SOURCE_OPTIONS,
        summary="Events from a topic of Kafka, Redpanda, or whatever speaks their protocol.",
    )
