"""What environment variables say about Kafka, for what a URL leaves to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from sfm_core.errors import ConfigurationError
from sfm_core.registry import BackendContext
from sfm_eventing_kafka.options import Mechanism, Security
from sfm_eventing_kafka.settings import (
    DEFAULT_GROUP,
    DEFAULT_TOPIC,
    KafkaSettings,
    check_topic,
    servers_of,
)

SERVERS_OPTION: Final = "KAFKA_BOOTSTRAP_SERVERS"
TOPIC_OPTION: Final = "KAFKA_MEMORY_EVENTS_TOPIC"
GROUP_OPTION: Final = "KAFKA_CONSUMER_GROUP"
SECURITY_OPTION: Final = "KAFKA_SECURITY_PROTOCOL"
MECHANISM_OPTION: Final = "KAFKA_SASL_MECHANISM"
USERNAME_OPTION: Final = "KAFKA_SASL_USERNAME"
PASSWORD_OPTION: Final = "KAFKA_SASL_PASSWORD"  # noqa: S105 - the name of a variable
CA_OPTION: Final = "KAFKA_SSL_CA_LOCATION"
CERT_OPTION: Final = "KAFKA_SSL_CERTIFICATE_LOCATION"
KEY_OPTION: Final = "KAFKA_SSL_KEY_LOCATION"
DEFAULT_SERVERS: Final = "redpanda:9092"

OPTIONS: Final[Mapping[str, str]] = {
    SERVERS_OPTION: "Brokers of a bare `kafka:`, as host:port,host:port. Default: redpanda:9092.",
    TOPIC_OPTION: f"Topic of the events, where the URL names none. Default: {DEFAULT_TOPIC}.",
    SECURITY_OPTION: "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. Default: PLAINTEXT.",
    MECHANISM_OPTION: "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Default: PLAIN.",
    USERNAME_OPTION: "Who logs in, with SASL.",
    PASSWORD_OPTION: "Password, with SASL.",
    CA_OPTION: "File with the certificates of those who may sign the brokers'.",
    CERT_OPTION: "File with the client's certificate.",
    KEY_OPTION: "File with the key of the client's certificate.",
}
"""What the factory of a sink reads beside its URL."""

SOURCE_OPTIONS: Final[Mapping[str, str]] = {
    **OPTIONS,
    GROUP_OPTION: f"Group of the consumers, where the URL names none. Default: {DEFAULT_GROUP}.",
}
"""What the factory of a source reads beside its URL."""

_ValueT = TypeVar("_ValueT")
_MemberT = TypeVar("_MemberT", Security, Mechanism)


def choose(url: str, context: BackendContext) -> KafkaSettings:
    """Find out which Kafka a URL means, and how to speak to it.

    Args:
        url: `kafka:` alone, with a query or without, takes the brokers from the variables;
            what it does not say is taken from them in any case.
        context: Holds the variables.

    Returns:
        The settings.

    Raises:
        ConfigurationError: The URL or a variable cannot work, or encryption or credentials
            are required and missing. The variable is named.
    """
    settings = _by_variables(context.options).with_url(url)
    if settings.security.login and not (settings.username and settings.password):
        missing = PASSWORD_OPTION if settings.username else USERNAME_OPTION
        raise ConfigurationError(
            f"{settings.security} needs a user and a password.",
            setting=missing,
            remedy=f"Set {USERNAME_OPTION} and {PASSWORD_OPTION}.",
        )
    if context.secure:
        _require_security(settings)
    return settings


def choose_source(url: str, context: BackendContext) -> KafkaSettings:
    """Find out which Kafka a URL means, for somebody who reads events; see `choose`.

    Args:
        url: As for `choose`.
        context: Holds the variables.

    Returns:
        The settings.

    Raises:
        ConfigurationError: As for `choose`, or the topic of the dead letters cannot be one.
    """
    settings = choose(url, context)
    if "group" not in settings.stated:
        group = context.options.get(GROUP_OPTION, "") or DEFAULT_GROUP
        settings = replace(settings, group=group)
    check_topic(settings.letters, "dead_letter_topic")
    if settings.letters == settings.topic:
        raise ConfigurationError(
            f"The dead letters would go to {settings.topic}, where the events are.",
            setting="dead_letter_topic",
            remedy="Choose another topic for them.",
        )
    return settings


def _by_variables(options: Mapping[str, str]) -> KafkaSettings:
    servers = options.get(SERVERS_OPTION, "") or DEFAULT_SERVERS
    topic = options.get(TOPIC_OPTION, "") or DEFAULT_TOPIC
    settings = KafkaSettings(
        servers=_read(SERVERS_OPTION, lambda: servers_of(servers)),
        security=_member(options, SECURITY_OPTION, Security.PLAINTEXT),
        mechanism=_member(options, MECHANISM_OPTION, Mechanism.PLAIN),
        username=options.get(USERNAME_OPTION, ""),
        password=options.get(PASSWORD_OPTION, ""),
        ca_file=options.get(CA_OPTION, ""),
        cert_file=options.get(CERT_OPTION, ""),
        key_file=options.get(KEY_OPTION, ""),
    )
    return replace(settings, topic=_read(TOPIC_OPTION, lambda: settings.with_topic(topic)).topic)


def _read(name: str, read: Callable[[], _ValueT]) -> _ValueT:
    try:
        return read()
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{name} cannot be used: {error.message}", setting=name, remedy=error.remedy
        ) from error


def _member(options: Mapping[str, str], name: str, default: _MemberT) -> _MemberT:
    text = options.get(name, "").upper() or default.value
    kind = type(default)
    if text not in set(kind):
        raise ConfigurationError(
            f"{name} is {text!r}.", setting=name, remedy=f"Use one of: {', '.join(kind)}."
        )
    return kind(text)


def _require_security(settings: KafkaSettings) -> None:
    if not settings.security.encrypted:
        raise ConfigurationError(
            f"{settings.place} is not encrypted, which this mode requires.",
            setting=SECURITY_OPTION,
            remedy="Use SASL_SSL; or SSL with a certificate of the client.",
        )
    if not settings.security.login and not (settings.cert_file and settings.key_file):
        raise ConfigurationError(
            f"There are no credentials for {settings.place}, which this mode requires.",
            setting=PASSWORD_OPTION,
            remedy=f"Use {SECURITY_OPTION}=SASL_SSL with {USERNAME_OPTION} and "
            f"{PASSWORD_OPTION}; or set {CERT_OPTION} and {KEY_OPTION}.",
        )
