"""Saying loudly that a group has lost events."""

from __future__ import annotations

import logging

from sfm_eventing_kafka.settings import KafkaSettings

log = logging.getLogger(__name__)


def report_loss(settings: KafkaSettings, partition: int, offset: int, first: int) -> None:
    """Say that a topic does not have what a group was to read next.

    Args:
        settings: The Kafka at work.
        partition: Which partition.
        offset: What the group was to read next.
        first: What it reads instead: the oldest that there is.
    """
    if offset < first:
        log.error(
            "%d events of %s/%d are lost to the group %s: it was at offset %d, and the topic keeps "
            "nothing before %d. What follows is read; see the retention of the topic, and bring up "
            "to date what was to be told of them.",
            first - offset,
            settings.topic,
            partition,
            settings.group,
            offset,
            first,
        )
    else:
        log.error(
            "events of %s/%d are lost: the group %s was at offset %d, which is beyond the end of "
            "the topic. It was made anew or cut short, and is read from its beginning.",
            settings.topic,
            partition,
            settings.group,
            offset,
        )
