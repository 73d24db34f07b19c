"""The producer: made when it is first needed, and anew after it failed."""

from __future__ import annotations

import asyncio
import logging
from ssl import SSLContext, SSLError, create_default_context

from aiokafka import errors

from sfm_core.errors import ConfigurationError
from sfm_eventing_kafka._admin import Admin
from sfm_eventing_kafka._driver import (
    Producer,
    end_producer,
    make_producer,
    refusal,
)
from sfm_eventing_kafka._topic import ensure_topic
from sfm_eventing_kafka.settings import KafkaSettings
from sfm_eventing_kafka.variables import CA_OPTION

log = logging.getLogger(__name__)

_UNKNOWN = (errors.UnknownError, errors.UnsupportedVersionError, errors.IncompatibleBrokerVersion)


class KafkaConnection:
    """One producer at a time.

    Opening it speaks to nobody, so that a broker that is away does not keep an
    engine from starting.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self._turn = asyncio.Lock()
        self._tls: SSLContext | None = None
        self._producer: Producer | None = None
        self._ending: asyncio.Task[None] | None = None
        self._told: frozenset[str] = frozenset()

    async def open(self) -> None:
        """Read the certificates.

        Raises:
            ConfigurationError: They cannot be read.
        """
        if self.settings.security.encrypted:
            self._tls = await asyncio.to_thread(_encryption, self.settings)

    async def close(self) -> None:
        """Close every connection; what is not acknowledged by now may or may not arrive."""
        if self._producer is not None:
            self.give_up(self._producer)
        if self._ending is not None:
            await self._ending

    async def producer(self) -> Producer:
        """Return the producer, connected.

        Raises:
            ConfigurationError: The brokers refuse the login, the topic or idempotence.
            KafkaError: What else the driver raises.
        """
        async with self._turn:
            if self._ending is not None:
                # It goes on also where this call is given up.
                await asyncio.shield(self._ending)
                self._ending = None
            if self._producer is None:
                self._producer = await self._connect()
            return self._producer

    async def check(self) -> None:
        """Make sure that a broker answers.

        Raises:
            ConfigurationError: As for `producer`.
            KafkaError: None does.
        """
        producer = await self.producer()
        if not await producer.client.force_metadata_update():
            raise errors.KafkaConnectionError("no broker answers")

    def give_up(self, producer: Producer) -> None:
        """Have a producer replaced, because it failed; nothing happens where it already is.

        Args:
            producer: The one that failed.
        """
        if producer is self._producer:
            self._producer = None
            self._ending = asyncio.create_task(end_producer(producer))

    async def _connect(self) -> Producer:
        try:
            async with Admin(self.settings, self._tls) as admin:
                self._warn(await ensure_topic(admin, self.settings))
        except errors.KafkaConnectionError:
            reason = await refusal(self.settings, self._tls)
            if reason is None:
                raise
            raise reason from None
        producer = make_producer(self.settings, self._tls)
        try:
            await producer.start()
        except _UNKNOWN as error:
            await producer.stop()
            if not self.settings.idempotence:
                raise
            raise ConfigurationError(
                f"{self.settings.place} does not know idempotent producers.",
                setting="idempotence",
                remedy="Use ?idempotence=off; an event may then come twice after a failure.",
            ) from error
        except BaseException:
            await producer.stop()
            raise
        return producer

    def _warn(self, differences: frozenset[str]) -> None:
        for difference in sorted(differences - self._told):
            log.warning("the topic %s is left as it is, but %s", self.settings.topic, difference)
        self._told |= differences


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
