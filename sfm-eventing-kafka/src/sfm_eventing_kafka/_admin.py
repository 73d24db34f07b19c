"""What is asked of brokers about topics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ssl import SSLContext
from typing import Protocol, Self, cast

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NodeNotReadyError, for_code

from sfm_eventing_kafka._driver import connecting
from sfm_eventing_kafka.settings import KafkaSettings


class _TopicAnswer(Protocol):
    @property
    def topic_errors(self) -> Sequence[tuple[str, int, str | None]]: ...


class _ConfigAnswer(Protocol):
    # error code, message, type, name, entries: each with its name and value first
    @property
    def resources(
        self,
    ) -> Sequence[tuple[int, str, int, str, Sequence[Sequence[str]]]]: ...


class _Admin(Protocol):
    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def create_topics(self, topics: Sequence[object]) -> _TopicAnswer: ...

    async def list_topics(self) -> list[str]: ...

    async def describe_topics(self, topics: Sequence[str]) -> Sequence[Mapping[str, object]]: ...

    async def describe_configs(self, resources: Sequence[object]) -> Sequence[_ConfigAnswer]: ...


class Admin:
    """Asks brokers about topics, and makes one."""

    def __init__(self, settings: KafkaSettings, tls: SSLContext | None) -> None:
        make = cast(Callable[..., _Admin], AIOKafkaAdminClient)
        self._client = make(**connecting(settings, tls))

    async def __aenter__(self) -> Self:
        try:
            await self._client.start()
        except BaseException:
            await self._client.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.close()

    async def create(
        self, topic: str, *, partitions: int, replication: int | None, configs: dict[str, str]
    ) -> tuple[type[Exception], str]:
        """Try to make a topic.

        Args:
            topic: Its name.
            partitions: How many it has.
            replication: How many brokers have each; `None` leaves it to them.
            configs: Its own configuration.

        Returns:
            The class of the error that the broker answered, which may be `NoError`, and what
            it said.
        """
        make = cast(Callable[..., object], NewTopic)
        # Without an assignment of its own, the driver takes no -1, which is the brokers' choice.
        assignment: dict[int, list[int]] | None = None if replication else {}
        wanted = make(topic, partitions, replication or -1, assignment, configs)
        try:
            answer = await self._client.create_topics([wanted])
        except AttributeError as error:
            # What the driver comes to where the cluster has no controller, as in an election.
            raise NodeNotReadyError("the cluster has no controller") from error
        _, code, said = answer.topic_errors[0][:3]
        return cast(Callable[[int], type[Exception]], for_code)(code), said or ""

    async def has(self, topic: str) -> bool:
        """Tell whether there is a topic, without making it by asking."""
        return topic in await self._client.list_topics()

    async def shape(self, topic: str) -> tuple[int, int]:
        """Return how many partitions a topic has, and how many brokers have its first."""
        [found] = await self._client.describe_topics([topic])
        partitions = cast(Sequence[Mapping[str, Sequence[int]]], found["partitions"])
        return len(partitions), len(partitions[0]["replicas"]) if partitions else 0

    async def configs(self, topic: str, names: Sequence[str]) -> dict[str, str]:
        """Return the configuration of a topic, as far as the broker tells it."""
        make = cast(Callable[..., object], ConfigResource)
        wanted = make(ConfigResourceType.TOPIC, topic, dict.fromkeys(names, ""))
        [answer] = await self._client.describe_configs([wanted])
        return {entry[0]: entry[1] for entry in answer.resources[0][4]}
