"""A topic: made where it is missing, looked at where it is there, never changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from aiokafka import errors

from sfm_core.errors import ConfigurationError
from sfm_eventing_kafka._admin import Admin
from sfm_eventing_kafka.settings import FOREVER, KafkaSettings
from sfm_eventing_kafka.variables import TOPIC_OPTION

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.05
_MILLISECOND = timedelta(milliseconds=1)
_RETENTION = "retention.ms"
_LARGEST = "max.message.bytes"
_CLEANUP = "cleanup.policy"
# A letter has more to it than the event that it holds, and may hold what no event is as large as.
_LETTERS_ARE_LARGER = 8
_IMPOSSIBLE = (
    errors.InvalidConfigurationError,
    errors.InvalidPartitionsError,
    errors.InvalidReplicationFactorError,
    errors.InvalidRequestError,
    errors.InvalidTopicError,
    errors.PolicyViolationError,
)
_FORBIDDEN = (errors.ClusterAuthorizationFailedError, errors.TopicAuthorizationFailedError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What a topic is to be like.

    Attributes:
        name: Its name.
        setting: What names it.
        partitions: How many it has.
        replication: How many brokers have each; `None` leaves it to them.
        configs: Its own configuration, where it is made.
        stated: What somebody asked for, by name; the rest is not compared.
        compacted: Whether only the last record of a key is to be kept.
    """

    name: str
    setting: str
    partitions: int
    replication: int | None
    configs: Mapping[str, str]
    stated: Mapping[str, str] = field(default_factory=dict[str, str])
    compacted: bool = False


def events_topic(settings: KafkaSettings) -> Topic:
    """Return what the topic of the events is to be like."""
    configs = {_LARGEST: str(settings.max_message_bytes)}
    if settings.retention is not None:
        configs[_RETENTION] = _retention(settings.retention)
    asked = {
        "partitions": ("partitions", str(settings.partitions)),
        "replication": ("replication", str(settings.replication)),
        "retention": (_RETENTION, configs.get(_RETENTION, "")),
        "max_message_bytes": (_LARGEST, configs[_LARGEST]),
    }
    return Topic(
        name=settings.topic,
        setting=TOPIC_OPTION,
        partitions=settings.partitions,
        replication=settings.replication,
        configs=configs,
        stated=dict(asked[attribute] for attribute in sorted(settings.stated & set(asked))),
    )


def letters_topic(settings: KafkaSettings) -> Topic:
    """Return what the topic of the dead letters is to be like."""
    largest = settings.max_message_bytes * _LETTERS_ARE_LARGER
    return Topic(
        name=settings.letters,
        setting="dead_letter_topic",
        # There are few of them, and so they are listed in the order in which they came.
        partitions=1,
        replication=settings.replication,
        configs={_CLEANUP: "compact", _LARGEST: str(largest)},
        compacted=True,
    )


def remains(settings: KafkaSettings) -> str:
    """Say what the topics keep of a memory that is purged, and until when."""
    kept = "until its retention ends, which the brokers decide"
    if settings.retention is not None:
        days = settings.retention / timedelta(days=1)
        kept = "for ever" if settings.retention == FOREVER else f"for {days:g} days after each"
    return (
        f"The topic {settings.topic} keeps events that were published, {kept}. Dead letters are "
        f"let go, and their bytes leave the topic {settings.letters} when brokers compact it."
    )


async def ensure_topic(admin: Admin, topic: Topic, *, may_make: bool) -> frozenset[str]:
    """Make the topic where it is missing and may be made.

    Args:
        admin: Speaks to the brokers.
        topic: What it is to be like.
        may_make: Whether it may be made.

    Returns:
        In what a topic that was there differs from what was asked for: a sentence each.

    Raises:
        ConfigurationError: It is missing and may not be made, or cannot be made so.
        KafkaError: What else the driver raises.
    """
    if not await admin.has(topic.name) and await _made(admin, topic, may_make=may_make):
        log.info("made the topic %s with %d partitions", topic.name, topic.partitions)
        return frozenset()
    return frozenset(await _differences(admin, topic))


async def _made(admin: Admin, topic: Topic, *, may_make: bool) -> bool:
    """Make it; tell whether it was this call that did."""
    answer: type[Exception] = errors.TopicAuthorizationFailedError
    said = ""
    if may_make:
        answer, said = await admin.create(
            topic.name,
            partitions=topic.partitions,
            replication=topic.replication,
            configs=dict(topic.configs),
        )
    if answer in _FORBIDDEN:
        raise ConfigurationError(
            f"There is no topic {topic.name}, and it may not be made.",
            setting=topic.setting,
            remedy="Make it, or use ?create_topic=on and let the user create it.",
        )
    if answer in _IMPOSSIBLE:
        raise ConfigurationError(
            f"The topic {topic.name} cannot be made: {said or answer.__name__}",
            setting=topic.setting,
            remedy="See ?partitions=, &replication=, &retention_seconds= and "
            "&max_message_bytes=, or make it yourself.",
        )
    if answer is errors.TopicAlreadyExistsError:
        # Somebody made it a moment ago, and the broker that was asked has yet to hear of it.
        while not await admin.has(topic.name):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(_PAUSE_SECONDS)
        return False
    if answer is not errors.NoError:
        raise answer(said)
    return True


def _retention(retention: timedelta) -> str:
    return "-1" if retention == FOREVER else str(retention // _MILLISECOND)


async def _differences(admin: Admin, topic: Topic) -> list[str]:
    partitions, replication = await admin.shape(topic.name)
    found = {"partitions": str(partitions), "replication": str(replication)}
    try:
        found |= await admin.configs(topic.name, [_RETENTION, _LARGEST, _CLEANUP])
    except errors.KafkaError as error:
        # Not every broker can tell, and not every user may ask.
        log.debug("cannot see how %s is configured: %s", topic.name, error)
    return [*_unlike(topic, found)]


def _unlike(topic: Topic, found: Mapping[str, str]) -> Iterator[str]:
    for name, value in topic.stated.items():
        if name in found and found[name] != value:
            yield f"its {name} is {found[name]} instead of {value}"
    policy = found.get(_CLEANUP, "")
    if "compact" in policy and not topic.compacted:
        yield f"its {_CLEANUP} is {policy}, which removes all but the last event of a memory"
    if policy and topic.compacted and policy != "compact":
        yield f"its {_CLEANUP} is {policy}, which removes letters by their age or size"
