"""Brokers that want to be spoken to safely."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from kafka_brokers import PASSWORD, USER, ApacheKafka
from kafka_helpers import open_sink, open_source, receive_all

from sfm_core.errors import BackendUnavailableError, ConfigurationError
from sfm_core.protocols.source import Rejection
from sfm_core.testing.samples import coordinate, event

ONE = event("n", coordinate(1.0), 1)


def login(protocol: str, mechanism: str, password: str = PASSWORD) -> dict[str, str]:
    return {
        "KAFKA_SECURITY_PROTOCOL": protocol,
        "KAFKA_SASL_MECHANISM": mechanism,
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": password,
    }


async def go_round(url: str, **options: str) -> None:
    """Publish, receive, acknowledge, set aside and list, all of it spoken safely."""
    async with open_sink(url, **options) as sink:
        await sink.publish([ONE])
    async with open_source(f"{url}?group=group-{uuid4().hex}", **options) as source:
        [delivery] = await receive_all(source, 1)
        assert delivery.event == ONE
        await source.set_aside(delivery, Rejection(handler="h", code="c", reason="r"))
        await source.acknowledge([delivery])
        assert len(await source.dead_letters(limit=10)) == 1


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_every_login_of_the_contract_works(
    apache_kafka: ApacheKafka, topic: str, protocol: str, mechanism: str
) -> None:
    broker = apache_kafka
    port = broker.sasl_ssl_port if protocol == "SASL_SSL" else broker.sasl_port
    options = login(protocol, mechanism) | {"KAFKA_SSL_CA_LOCATION": str(broker.ca_file)}
    await go_round(f"kafka://127.0.0.1:{port}/{topic}", **options)


@pytest.mark.parametrize("certificate", [False, True])
async def test_encryption_works_with_a_certificate_of_the_client_and_without(
    apache_kafka: ApacheKafka,
    topic: str,
    certificate: bool,  # noqa: FBT001 - a case
) -> None:
    broker = apache_kafka
    options = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": str(broker.ca_file)}
    if certificate:
        options["KAFKA_SSL_CERTIFICATE_LOCATION"] = str(broker.folder / "client.pem")
        options["KAFKA_SSL_KEY_LOCATION"] = str(broker.folder / "client.key")
    await go_round(f"kafka://127.0.0.1:{broker.ssl_port}/{topic}", **options)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_a_wrong_password_names_the_variable_and_hides_the_password(
    apache_kafka: ApacheKafka, topic: str, mechanism: str
) -> None:
    url = f"kafka://127.0.0.1:{apache_kafka.sasl_port}/{topic}"
    async with open_sink(url, **login("SASL_PLAINTEXT", mechanism, "secret")) as sink:
        with pytest.raises(ConfigurationError, match="refused the login") as caught:
            await sink.publish([ONE])
    assert caught.value.setting == "KAFKA_SASL_PASSWORD"
    assert "secret" not in str(caught.value)
    async with open_source(url, **login("SASL_PLAINTEXT", mechanism, "secret")) as source:
        with pytest.raises(ConfigurationError, match="refused the login") as caught:
            await receive_all(source, 1)
    assert "secret" not in str(caught.value)


async def test_a_broker_that_cannot_be_recognised_gets_nothing(
    apache_kafka: ApacheKafka, topic: str
) -> None:
    url = f"kafka://127.0.0.1:{apache_kafka.ssl_port}/{topic}"
    async with open_sink(url, KAFKA_SECURITY_PROTOCOL="SSL") as sink:
        with pytest.raises(BackendUnavailableError, match="certificate"):
            await sink.publish([ONE])


async def test_certificates_that_are_not_there_are_found_when_it_is_opened(
    tmp_path: Path,
) -> None:
    missing = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": str(tmp_path / "ca")}
    with pytest.raises(ConfigurationError) as caught:
        await open_sink("kafka:", **missing).__aenter__()
    assert caught.value.setting == "KAFKA_SSL_CA_LOCATION"
