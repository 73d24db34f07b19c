"""The one place where the driver's errors become those of `sfm_core.errors`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from aiokafka import errors

from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    CorruptDataError,
    DeadlineExceededError,
    SfmError,
)
from sfm_eventing_kafka.settings import SCHEME, KafkaSettings
from sfm_eventing_kafka.variables import (
    GROUP_OPTION,
    PASSWORD_OPTION,
    SECURITY_OPTION,
    SERVERS_OPTION,
    TOPIC_OPTION,
)

_LATE: Final = (errors.KafkaTimeoutError, errors.RequestTimedOutError, TimeoutError)
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
_TOO_LARGE: Final = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.RecordTooLargeError,
)
_GROUP: Final = (
    errors.GroupAuthorizationFailedError,
    errors.InconsistentGroupProtocolError,
    errors.InvalidGroupIdError,
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
    for kinds, make in _TRANSLATIONS:
        if isinstance(error, kinds):
            return make(error, settings)
    if getattr(error, "retriable", False):
        return _away(error, settings)
    return BackendError(f"{settings.place} refused to work: {_said(error)}.", backend=SCHEME)


def _late(error: Exception, settings: KafkaSettings) -> SfmError:  # noqa: ARG001 - as all of them
    return DeadlineExceededError(
        f"{settings.place} did not answer in time.",
        backend=SCHEME,
        remedy="See whether its brokers run and are overloaded, or raise timeout_seconds.",
    )


def _login(error: Exception, settings: KafkaSettings) -> SfmError:
    return ConfigurationError(
        f"{settings.place} refused the login: {error}.",
        setting=PASSWORD_OPTION,
        remedy=f"See the user, the password, the mechanism and {SECURITY_OPTION}.",
    )


def _forbidden(error: Exception, settings: KafkaSettings) -> SfmError:
    return ConfigurationError(
        f"The user of {settings.place} may not do what is needed: {error}.",
        setting=TOPIC_OPTION,
        remedy="Let a sink describe and write the topic, and write idempotently; let a source "
        "read it, and write that of the dead letters.",
    )


def _too_large(error: Exception, settings: KafkaSettings) -> SfmError:
    return ConfigurationError(
        f"{settings.place} takes nothing as large as what is next: {error}.",
        setting="max_message_bytes",
        remedy="Raise max.message.bytes of the topic; until then nothing after it gets on, and "
        "nothing is lost.",
    )


def _group(error: Exception, settings: KafkaSettings) -> SfmError:
    return ConfigurationError(
        f"{settings.place} refuses a member to the group {settings.group}: {_said(error)}.",
        setting=GROUP_OPTION,
        remedy="Let the user read as that group, and let nothing else consume under its name.",
    )


def _session(error: Exception, settings: KafkaSettings) -> SfmError:  # noqa: ARG001 - as all of them
    return ConfigurationError(
        f"{settings.place} does not allow sessions of {settings.session.total_seconds():g} s.",
        setting="session_timeout_seconds",
        remedy="See group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers.",
    )


def _corrupt(error: Exception, settings: KafkaSettings) -> SfmError:
    return CorruptDataError(
        f"{settings.place} has records that cannot be read: {error}.",
        backend=SCHEME,
        remedy="See the disks of the brokers, and who else writes to the topic.",
    )


def _away(error: Exception, settings: KafkaSettings) -> SfmError:
    return BackendUnavailableError(
        f"{settings.place} could not be reached or cannot work right now: {_said(error)}.",
        backend=SCHEME,
        remedy=f"See whether its brokers run, and {SERVERS_OPTION}.",
    )


_TRANSLATIONS: Final[
    tuple[
        tuple[
            type[Exception] | tuple[type[Exception], ...],
            Callable[[Exception, KafkaSettings], SfmError],
        ],
        ...,
    ]
] = (
    (_LATE, _late),
    (_LOGIN, _login),
    (_FORBIDDEN, _forbidden),
    (_TOO_LARGE, _too_large),
    (_GROUP, _group),
    (errors.InvalidSessionTimeoutError, _session),
    (errors.CorruptRecordException, _corrupt),
    (_AWAY, _away),
)


def _said(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip().rstrip(".")
