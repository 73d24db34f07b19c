"""The one place where the driver's errors become those of `sfm_core.errors`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from aiokafka import errors

from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    DeadlineExceededError,
    SfmError,
)
from sfm_eventing_kafka.settings import SCHEME, KafkaSettings
from sfm_eventing_kafka.variables import (
    PASSWORD_OPTION,
    SECURITY_OPTION,
    SERVERS_OPTION,
    TOPIC_OPTION,
)

_LOGIN: Final = (
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
)
_FORBIDDEN: Final = (
    errors.ClusterAuthorizationFailedError,
    errors.TopicAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
)
_LATE: Final = (errors.KafkaTimeoutError, errors.RequestTimedOutError, TimeoutError)
_TOO_LARGE: Final = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.RecordTooLargeError,
)
# Beside what the driver tries again. The last ones want a new producer: the next call has it.
_AWAY: Final = (
    OSError,
    errors.BrokerNotAvailableError,
    errors.KafkaConnectionError,
    errors.IllegalOperation,
    errors.InvalidProducerEpoch,
    errors.OutOfOrderSequenceNumber,
    errors.ProducerClosed,
    errors.ProducerFenced,
    errors.UnknownProducerId,
)


@contextmanager
def translated(settings: KafkaSettings) -> Generator[None]:
    """Turn what the driver raises inside the block into our errors.

    Args:
        settings: The Kafka at work, for the messages.

    Raises:
        SfmError: In place of each driver's error, with that as its cause.
    """
    try:
        yield
    except (errors.KafkaError, errors.IllegalOperation, OSError) as error:
        raise translate(error, settings) from error


def translate(error: Exception, settings: KafkaSettings) -> SfmError:
    """Return our error for one of the driver's.

    Args:
        error: What the driver raised.
        settings: The Kafka at work.

    Returns:
        The error to raise from it.
    """
    place = settings.place
    if isinstance(error, _LATE):
        return DeadlineExceededError(
            f"{place} did not acknowledge in time.",
            backend=SCHEME,
            remedy="See whether its brokers run and are overloaded, or raise timeout_seconds.",
        )
    if isinstance(error, _LOGIN):
        return ConfigurationError(
            f"{place} refused the login: {error}.",
            setting=PASSWORD_OPTION,
            remedy=f"See the user, the password, the mechanism and {SECURITY_OPTION}.",
        )
    if isinstance(error, _FORBIDDEN):
        return ConfigurationError(
            f"The user of {place} may not do what is needed: {error}.",
            setting=TOPIC_OPTION,
            remedy="Let it describe and write the topic, and write idempotently.",
        )
    if isinstance(error, _TOO_LARGE):
        return ConfigurationError(
            f"{place} takes no event as large as one that is next: {error}.",
            setting="max_message_bytes",
            remedy="Raise max.message.bytes of the topic; until then no event after it is "
            "published, and none is lost.",
        )
    if isinstance(error, _AWAY) or getattr(error, "retriable", False):
        return BackendUnavailableError(
            f"{place} could not be reached or cannot work right now: {_said(error)}.",
            backend=SCHEME,
            remedy=f"See whether its brokers run, and {SERVERS_OPTION}.",
        )
    return BackendError(f"{place} refused to work: {_said(error)}.", backend=SCHEME)


def _said(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip().rstrip(".")
