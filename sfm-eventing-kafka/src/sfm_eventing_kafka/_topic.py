"""The topic: made where it is missing, looked at where it is there, never changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta

from aiokafka import errors

from sfm_core.errors import ConfigurationError
from sfm_eventing_kafka._admin import Admin
from sfm_eventing_kafka.settings import FOREVER, KafkaSettings
from sfm_eventing_kafka.variables import TOPIC_OPTION

log = logging.getLogger(__name__)

_MILLISECOND = timedelta(milliseconds=1)
_RETENTION = "retention.ms"
_LARGEST = "max.message.bytes"
_CLEANUP = "cleanup.policy"
_IMPOSSIBLE = (
    errors.InvalidConfigurationError,
    errors.InvalidPartitionsError,
    errors.InvalidReplicationFactorError,
    errors.InvalidRequestError,
    errors.InvalidTopicError,
    errors.PolicyViolationError,
)
_FORBIDDEN = (errors.ClusterAuthorizationFailedError, errors.TopicAuthorizationFailedError)


async def ensure_topic(admin: Admin, settings: KafkaSettings) -> frozenset[str]:
    """Make the topic where it is missing and may be made.

    Args:
        admin: Speaks to the brokers.
        settings: What the topic is to be like.

    Returns:
        In what a topic that was there differs from what was asked for: a sentence each.

    Raises:
        ConfigurationError: It is missing and may not be made, or cannot be made so.
        KafkaError: What else the driver raises.
    """
    if not await admin.has(settings.topic) and await _made(admin, settings):
        log.info("made the topic %s with %d partitions", settings.topic, settings.partitions)
        return frozenset()
    return frozenset(await _differences(admin, settings))


async def _made(admin: Admin, settings: KafkaSettings) -> bool:
    """Make it; tell whether it was this call that did."""
    answer: type[Exception] = errors.TopicAuthorizationFailedError
    said = ""
    if settings.create_topic:
        answer, said = await admin.create(
            settings.topic,
            partitions=settings.partitions,
            replication=settings.replication,
            configs=_wanted(settings),
        )
    if answer in _FORBIDDEN:
        raise ConfigurationError(
            f"There is no topic {settings.topic}, and it may not be made.",
            setting=TOPIC_OPTION,
            remedy="Make it, or use ?create_topic=on and let the user create it.",
        )
    if answer in _IMPOSSIBLE:
        raise ConfigurationError(
            f"The topic {settings.topic} cannot be made: {said or answer.__name__}",
            setting=TOPIC_OPTION,
            remedy="See ?partitions=, &replication=, &retention_seconds= and "
            "&max_message_bytes=, or make it yourself.",
        )
    if answer is errors.TopicAlreadyExistsError:
        return False
    if answer is not errors.NoError:
        raise answer(said)
    return True


def _wanted(settings: KafkaSettings) -> dict[str, str]:
    wanted = {_LARGEST: str(settings.max_message_bytes)}
    if settings.retention is not None:
        wanted[_RETENTION] = _retention(settings.retention)
    return wanted


def _retention(retention: timedelta) -> str:
    return "-1" if retention == FOREVER else str(retention // _MILLISECOND)


async def _differences(admin: Admin, settings: KafkaSettings) -> list[str]:
    partitions, replication = await admin.shape(settings.topic)
    found = {"partitions": str(partitions), "replication": str(replication)}
    try:
        found |= await admin.configs(settings.topic, [_RETENTION, _LARGEST, _CLEANUP])
    except errors.KafkaError as error:
        # Not every broker can tell, and not every user may ask.
        log.debug("cannot see how %s is configured: %s", settings.topic, error)
    return [*_unlike(settings, found)]


def _unlike(settings: KafkaSettings, found: Mapping[str, str]) -> Iterator[str]:
    retention = settings.retention
    wanted = {
        "partitions": ("partitions", str(settings.partitions)),
        "replication": ("replication", str(settings.replication)),
        "retention": (_RETENTION, _retention(retention) if retention else ""),
        "max_message_bytes": (_LARGEST, str(settings.max_message_bytes)),
    }
    for attribute in sorted(settings.stated & set(wanted)):
        name, value = wanted[attribute]
        if name in found and found[name] != value:
            yield f"its {name} is {found[name]} instead of {value}"
    if "compact" in found.get(_CLEANUP, ""):
        policy = found[_CLEANUP]
        yield f"its {_CLEANUP} is {policy}, which removes all but the last event of a memory"
