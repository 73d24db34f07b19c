"""What can be chosen about Kafka, and how a URL says it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from sfm_core.errors import ConfigurationError
from sfm_eventing_kafka.options import Compression, Mechanism, Security

SCHEME: Final = "kafka"
DEFAULT_PORT: Final = 9092
DEFAULT_TOPIC: Final = "memory.events"
DEFAULT_GROUP: Final = "soma-consumer-group"
# The largest event there can be: a payload of a mebibyte, and what is around it.
LARGEST_EVENT_BYTES: Final = 2 * 1_048_576
FOREVER: Final = timedelta.max

_LONGEST_SECONDS: Final = 3600
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
_REMEDY = (
    "Write kafka: or kafka://host:9092,host:9092/topic, with ?idempotence=on|off, "
    "&compression=none|gzip|snappy|lz4|zstd, &partitions=6 and so on where wanted."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Everything about Kafka that can be chosen.

    Attributes:
        servers: Brokers to begin with, as `host:port`; they name the others.
        topic: Where events go.
        security: How brokers are spoken to.
        mechanism: How the password is shown to them.
        username: Who logs in.
        password: The password.
        ca_file: Certificates to trust in place of the system's.
        cert_file: Certificate of this client.
        key_file: Its private key.
        idempotence: Whether brokers recognise what is sent twice.
        compression: How batches are compressed.
        batch_bytes: Size of a batch before it is compressed; one event may be larger.
        timeout: How long a publication may take.
        create_topic: Whether a topic that is missing is made.
        partitions: Of a topic that is made.
        replication: How many brokers have each partition of it; `None` leaves it to them.
        retention: How long it keeps events; `None` leaves it to the brokers.
        max_message_bytes: The largest event that it takes.
        stated: Which of all these the URL says. What it does not say about a topic is not
            compared with one that is there.
        group: Which group of consumers a source belongs to.
        session: For how long a member of the group may be silent before the others take over,
            and how long one that is asked to hand over may take to finish what it has in hand.
        dead_letter_topic: Where dead letters go; "" for the topic of the events with `.dlq`.
    """

    servers: tuple[str, ...]
    topic: str = DEFAULT_TOPIC
    security: Security = Security.PLAINTEXT
    mechanism: Mechanism = Mechanism.PLAIN
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    idempotence: bool = True
    compression: Compression = Compression.LZ4
    batch_bytes: int = 262_144
    timeout: timedelta = timedelta(seconds=8)
    create_topic: bool = True
    partitions: int = 6
    replication: int | None = None
    retention: timedelta | None = None
    max_message_bytes: int = LARGEST_EVENT_BYTES
    stated: frozenset[str] = frozenset()
    group: str = DEFAULT_GROUP
    session: timedelta = timedelta(seconds=10)
    dead_letter_topic: str = ""

    @property
    def letters(self) -> str:
        """The topic of the dead letters."""
        return self.dead_letter_topic or f"{self.topic}.dlq"

    @property
    def place(self) -> str:
        """Where it is, for messages; without credentials."""
        return f"{SCHEME}://{','.join(self.servers)}/{self.topic}"

    def with_url(self, url: str) -> KafkaSettings:
        """Return these settings with what a URL says.

        Args:
            url: `kafka:` with options or without, or `kafka://` with brokers, topic and options.

        Returns:
            The settings.

        Raises:
            ConfigurationError: The URL is malformed, has an unknown option, or an option has
                an impossible value.
        """
        parts = _split(url)
        settings = self
        if parts.netloc:
            credentials, _, hosts = parts.netloc.rpartition("@")
            username, _, password = credentials.partition(":")
            settings = replace(settings, servers=servers_of(hosts))
            if username:
                settings = replace(settings, username=unquote(username), password=unquote(password))
        topic = unquote(parts.path).removeprefix("/")
        if topic:
            settings = settings.with_topic(topic)
        for name, value in _pairs(parts.query):
            settings = _with_option(settings, name, value)
        return settings

    def with_topic(self, topic: str) -> KafkaSettings:
        """Return these settings with another topic.

        Args:
            topic: Its name.

        Returns:
            The settings.

        Raises:
            ConfigurationError: It cannot be the name of a topic.
        """
        check_topic(topic, "topic")
        return replace(self, topic=topic)


def check_topic(name: str, setting: str) -> None:
    """Refuse what cannot be the name of a topic.

    Args:
        name: What somebody wants to call one.
        setting: Where that was said.

    Raises:
        ConfigurationError: It is empty, too long, or has other characters.
    """
    if not _TOPIC.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be the name of a topic.",
            setting=setting,
            remedy="Use at most 249 letters, digits, dots, underscores and hyphens.",
        )


def servers_of(text: str) -> tuple[str, ...]:
    """Take brokers apart.

    Args:
        text: `host:port`, several with commas between them; the port may be left out.

    Returns:
        Each with its port.

    Raises:
        ConfigurationError: There is none, or one is malformed.
    """
    servers = tuple(_server(each.strip()) for each in text.split(",") if each.strip())
    if not servers:
        raise ConfigurationError("No broker is named.", remedy=_REMEDY)
    return servers


def _server(text: str) -> str:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    if not host or any(character in text for character in "/?#@"):
        # What stands there may be half of a password with a slash in it.
        raise ConfigurationError(
            "A broker is not of the form host:port, or the password has a character that must "
            "be percent-encoded.",
            remedy=_REMEDY,
        )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        # Its message may quote the password.
        raise ConfigurationError("The Kafka URL is malformed.", remedy=_REMEDY) from None
    bare = not parts.netloc and parts.path
    if parts.scheme != SCHEME or parts.fragment or bare:
        raise ConfigurationError("The Kafka URL is not of a known form.", remedy=_REMEDY)
    return parts


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ConfigurationError("The Kafka URL has a malformed query.", remedy=_REMEDY) from None


def _with_option(settings: KafkaSettings, name: str, value: str) -> KafkaSettings:
    read = _OPTIONS.get(name)
    if read is None:
        raise ConfigurationError(
            f"The Kafka option {name} is unknown.", setting=name, remedy=_REMEDY
        )
    attribute, parse = read
    try:
        parsed = parse(value)
    except ValueError as error:
        raise ConfigurationError(
            f"The Kafka option {name} cannot be {value!r}.", setting=name, remedy=_REMEDY
        ) from error
    return _replaced(settings, **{attribute: parsed, "stated": settings.stated | {attribute}})


# For options that are called as their attributes are.
_replaced = cast(Callable[..., KafkaSettings], replace)


def _text(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _switch(text: str) -> bool:
    if text not in {"on", "off"}:
        raise ValueError(text)
    return text == "on"


def _count(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and 0 < int(text) < 1 << 31):
        raise ValueError(text)
    return int(text)


def _duration(text: str) -> timedelta:
    seconds = float(text)
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise ValueError(text)
    return timedelta(seconds=seconds)


def _retention(text: str) -> timedelta:
    return FOREVER if text == "forever" else timedelta(seconds=_count(text))


_OPTIONS: Final[dict[str, tuple[str, Callable[[str], object]]]] = {
    "security_protocol": ("security", lambda text: Security(text.upper())),
    "sasl_mechanism": ("mechanism", lambda text: Mechanism(text.upper())),
    "ca_file": ("ca_file", str),
    "cert_file": ("cert_file", str),
    "key_file": ("key_file", str),
    "idempotence": ("idempotence", _switch),
    "compression": ("compression", Compression),
    "batch_bytes": ("batch_bytes", _count),
    "timeout_seconds": ("timeout", _duration),
    "create_topic": ("create_topic", _switch),
    "partitions": ("partitions", _count),
    "replication": ("replication", _count),
    "retention_seconds": ("retention", _retention),
    "max_message_bytes": ("max_message_bytes", _count),
    "group": ("group", _text),
    "session_timeout_seconds": ("session", _duration),
    "dead_letter_topic": ("dead_letter_topic", _text),
}
