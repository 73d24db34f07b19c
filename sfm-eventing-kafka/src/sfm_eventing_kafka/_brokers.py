"""How the brokers are reached, and what is made sure of before anything else is asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ssl import SSLContext, SSLError, create_default_context

from aiokafka import errors

from sfm_core.errors import ConfigurationError
from sfm_eventing_kafka._admin import Admin
from sfm_eventing_kafka._driver import refusal
from sfm_eventing_kafka._topic import Topic, ensure_topic
from sfm_eventing_kafka.settings import KafkaSettings
from sfm_eventing_kafka.variables import CA_OPTION

log = logging.getLogger(__name__)


class Brokers:
    """The brokers of a Kafka.

    Opening it speaks to nobody, so that a broker that is away does not keep
    anybody from starting.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self.tls: SSLContext | None = None
        self._told: frozenset[str] = frozenset()

    async def open(self) -> None:
        """Read the certificates.

        Raises:
            ConfigurationError: They cannot be read.
        """
        if self.settings.security.encrypted:
            self.tls = await asyncio.to_thread(_encryption, self.settings)

    async def prepare(self, topic: Topic) -> None:
        """Make sure that the brokers can be spoken to, and that a topic is there.

        Args:
            topic: What it is to be like; it is made where it is missing and may be made.

        Raises:
            ConfigurationError: The brokers refuse the login or the topic.
            KafkaError: What else the driver raises.
        """
        async with self._admin() as admin:
            differences = await ensure_topic(admin, topic, may_make=self.settings.create_topic)
        for difference in sorted(differences - self._told):
            log.warning("the topic %s is left as it is, but %s", topic.name, difference)
        self._told |= differences

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 where there is no such topic.

        Args:
            topic: Its name; it is not made by asking.

        Returns:
            Their number.

        Raises:
            KafkaError: What the driver raises.
        """
        async with self._admin() as admin:
            return (await admin.shape(topic))[0] if await admin.has(topic) else 0

    @asynccontextmanager
    async def _admin(self) -> AsyncGenerator[Admin]:
        try:
            async with Admin(self.settings, self.tls) as admin:
                yield admin
        except errors.KafkaConnectionError:
            # The driver only writes to its log why it could use none of them.
            reason = await refusal(self.settings, self.tls)
            if reason is None:
                raise
            raise reason from None


def _encryption(settings: KafkaSettings) -> SSLContext:
    try:
        context = create_default_context(cafile=settings.ca_file or None)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file or None)
    except (OSError, SSLError) as error:
        raise ConfigurationError(
            f"The certificates for {settings.place} cannot be used: {error}.",
            setting=CA_OPTION,
            remedy="See that the files are there, readable and in PEM.",
        ) from error
    return context
