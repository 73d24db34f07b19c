"""What a URL and the environment say about Kafka."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from sfm_core.errors import ConfigurationError
from sfm_core.plugins import load_plugins
from sfm_core.registry import SECURE, BackendContext, PortName
from sfm_eventing_kafka.options import Compression, Mechanism, Security
from sfm_eventing_kafka.settings import FOREVER, KafkaSettings
from sfm_eventing_kafka.variables import choose, choose_source

LOGIN = {"KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "secret"}


def chosen(url: str, **options: str) -> KafkaSettings:
    return choose(url, BackendContext(data_folder=Path("unused"), options=options))


def chosen_source(url: str, **options: str) -> KafkaSettings:
    return choose_source(url, BackendContext(data_folder=Path("unused"), options=options))


def chosen_securely(**options: str) -> KafkaSettings:
    context = BackendContext(data_folder=Path("unused"), options=options, secure=True)
    return choose("kafka:", context)


@pytest.mark.smoke
def test_a_bare_url_means_what_the_contract_says() -> None:
    found = chosen("kafka:")
    assert (found.servers, found.topic) == (("redpanda:9092",), "memory.events")
    assert found.security is Security.PLAINTEXT
    assert found.idempotence


def test_the_variables_name_brokers_topic_and_login() -> None:
    found = chosen(
        "kafka:",
        KAFKA_BOOTSTRAP_SERVERS="a:1, b,[::1]:2",
        KAFKA_MEMORY_EVENTS_TOPIC="mine",
        KAFKA_SECURITY_PROTOCOL="sasl_ssl",
        KAFKA_SASL_MECHANISM="SCRAM-SHA-512",
        KAFKA_SSL_CA_LOCATION="/ca",
        **LOGIN,
    )
    assert found.servers == ("a:1", "b:9092", "[::1]:2")
    assert (found.topic, found.security) == ("mine", Security.SASL_SSL)
    assert (found.mechanism, found.ca_file) == (Mechanism.SCRAM_SHA_512, "/ca")
    assert (found.username, found.password) == ("me", "secret")
    assert "secret" not in repr(found)


def test_the_url_outweighs_the_variables() -> None:
    found = chosen(
        "kafka://you:p%2Fw@b:2/theirs?security_protocol=SASL_PLAINTEXT",
        KAFKA_BOOTSTRAP_SERVERS="a:1",
        KAFKA_MEMORY_EVENTS_TOPIC="mine",
        **LOGIN,
    )
    assert (found.servers, found.topic) == (("b:2",), "theirs")
    assert (found.username, found.password) == ("you", "p/w")


def test_options_are_read() -> None:
    found = chosen(
        "kafka:?idempotence=off&compression=zstd&batch_bytes=1000&timeout_seconds=2.5"
        "&create_topic=off&partitions=12&replication=3&retention_seconds=forever"
    )
    assert (found.idempotence, found.compression) == (False, Compression.ZSTD)
    assert (found.batch_bytes, found.timeout) == (1000, timedelta(seconds=2.5))
    assert (found.create_topic, found.partitions, found.replication) == (False, 12, 3)
    assert found.retention == FOREVER


@pytest.mark.parametrize(
    "url",
    [
        "kafka:topic",
        "kafka://host:port",
        "kafka://:secret@host:secret",
        "kafka://me:se/cret@host",
        "kafka://host/a/b",
        "kafka://host/..",
        "kafka://host#x",
        "kafka://,",
        "kafka://[secret",
        "kafka:?unknown=1",
        "kafka:?partitions=0",
        "kafka:?partitions",
        "kafka:?idempotence=maybe",
        "kafka:?compression=best",
        "kafka:?timeout_seconds=0",
        "kafka:?timeout_seconds=nan",
        "kafka:?retention_seconds=-1",
        "kafka:?sasl_mechanism=GSSAPI",
    ],
)
def test_a_url_that_cannot_work_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        chosen(url)
    assert caught.value.remedy
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": "host:port"}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_MEMORY_EVENTS_TOPIC": "a/b"}, "KAFKA_MEMORY_EVENTS_TOPIC"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL"),
        ({"KAFKA_SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SASL_USERNAME"),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "me"},
            "KAFKA_SASL_PASSWORD",
        ),
    ],
)
def test_a_variable_that_cannot_work_is_named(options: dict[str, str], setting: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        chosen("kafka:", **options)
    assert caught.value.setting == setting


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({}, "KAFKA_SECURITY_PROTOCOL"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", **LOGIN}, "KAFKA_SECURITY_PROTOCOL"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL"}, "KAFKA_SASL_PASSWORD"),
    ],
)
def test_security_is_required_where_the_mode_says_so(options: dict[str, str], setting: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        chosen_securely(**options)
    assert caught.value.setting == setting


@pytest.mark.parametrize(
    "options",
    [
        {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", **LOGIN},
        {
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CERTIFICATE_LOCATION": "/c",
            "KAFKA_SSL_KEY_LOCATION": "/k",
        },
    ],
)
def test_a_login_or_a_certificate_is_security_enough(options: dict[str, str]) -> None:
    assert chosen_securely(**options).security.encrypted


def test_a_source_belongs_to_the_group_of_the_url_or_else_of_the_variable() -> None:
    assert chosen_source("kafka:").group == "soma-consumer-group"
    assert chosen_source("kafka:", KAFKA_CONSUMER_GROUP="mine").group == "mine"
    assert chosen_source("kafka:?group=theirs", KAFKA_CONSUMER_GROUP="mine").group == "theirs"


def test_dead_letters_lie_beside_the_events_or_where_it_is_said() -> None:
    assert chosen_source("kafka:").letters == "memory.events.dlq"
    assert chosen_source("kafka://host/mine").letters == "mine.dlq"
    assert chosen_source("kafka:?dead_letter_topic=lost").letters == "lost"


def test_what_a_source_is_told_is_read() -> None:
    assert chosen_source("kafka:").session == timedelta(seconds=10)
    assert chosen_source("kafka:?session_timeout_seconds=45").session == timedelta(seconds=45)


@pytest.mark.parametrize(
    "url",
    [
        "kafka:?group=",
        "kafka:?session_timeout_seconds=0",
        "kafka:?dead_letter_topic=",
        "kafka:?dead_letter_topic=a/b",
        "kafka:?dead_letter_topic=memory.events",
        f"kafka://host/{'x' * 249}",
    ],
)
def test_a_source_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        chosen_source(url)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("port", "variable"),
    [
        (PortName.EVENTS, "KAFKA_BOOTSTRAP_SERVERS"),
        (PortName.SOURCE, "KAFKA_BOOTSTRAP_SERVERS"),
        (PortName.SOURCE, "KAFKA_CONSUMER_GROUP"),
    ],
)
def test_the_plugin_offers_it(port: PortName, variable: str) -> None:
    found = load_plugins().registry.find(port, "kafka:")
    assert SECURE in found.capabilities
    assert variable in found.options
