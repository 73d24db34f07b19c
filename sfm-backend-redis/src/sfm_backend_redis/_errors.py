"""The one place where the driver's errors become those of `sfm_core.errors`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from sfm_backend_redis.settings import PASSWORD_OPTION, SENTINEL_LOGIN, RedisSettings
from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    CorruptDataError,
    DeadlineExceededError,
    ReadOnlyStorageError,
    SfmError,
    StorageFullError,
)

_LOGIN = (
    exceptions.AuthenticationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
)
_NOT_NOW = (
    exceptions.BusyLoadingError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
    exceptions.SlotNotCoveredError,
    exceptions.TryAgainError,
)
# Codes that the driver has no class for stand at the start of the message.
_LOGIN_CODES = ("NOAUTH", "WRONGPASS", "NOPERM")
_NOT_NOW_CODES = ("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "TRYAGAIN", "UNBLOCKED")


@contextmanager
def translated(settings: RedisSettings) -> Generator[None]:
    """Turn what the driver raises inside the block into our errors.

    Args:
        settings: The Redis at work, for the messages.

    Raises:
        SfmError: In place of each driver's error, with that as its cause.
    """
    try:
        yield
    except (exceptions.RedisError, OSError) as error:
        raise translate(error, settings) from error
    except RuntimeError as error:
        # What uvloop says of a connection that the server has closed; asyncio drops what is sent.
        if "handler is closed" not in str(error):
            raise
        raise _unreachable(error, settings) from error


def translate(error: exceptions.RedisError | OSError, settings: RedisSettings) -> SfmError:
    """Return our error for one of the driver's.

    Args:
        error: What the driver raised.
        settings: The Redis at work.

    Returns:
        The error to raise from it.
    """
    place, scheme = settings.place, settings.form.value
    if isinstance(error, _LOGIN) or _has(error, *_LOGIN_CODES):
        return ConfigurationError(
            f"{place} refused the login or a command: {error}.",
            setting=PASSWORD_OPTION,
            remedy=f"Put user and password into the URL or into {PASSWORD_OPTION}, and let the "
            "user run scripts on its keys.",
        )
    if isinstance(error, MasterNotFoundError):
        return _without_master(error, place, scheme)
    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        return DeadlineExceededError(
            f"{place} did not answer in time.",
            backend=scheme,
            remedy="See whether it is overloaded, or raise timeout_seconds.",
        )
    if isinstance(error, _NOT_NOW) or _has(error, *_NOT_NOW_CODES):
        return BackendUnavailableError(
            f"{place} cannot work right now: {error}.",
            backend=scheme,
            remedy="Try again when it has loaded its data or elected a master.",
        )
    if isinstance(error, exceptions.ResponseError):
        return _of_answer(error, place, scheme)
    return _unreachable(error, settings)


def _unreachable(error: Exception, settings: RedisSettings) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"{settings.place} could not be reached: {error}.",
        backend=settings.form.value,
        remedy="Check that it runs, and that host, port and TLS of the URL are right.",
    )


def _without_master(error: MasterNotFoundError, place: str, scheme: str) -> SfmError:
    # What each sentinel said stands in the message only, after all settings of the client.
    if "AuthenticationError" in str(error):
        return ConfigurationError(
            f"The sentinels of {place} refused the login.",
            setting=SENTINEL_LOGIN["sentinel_password"],
            remedy=f"Set {SENTINEL_LOGIN['sentinel_password']}; they do not share the "
            "logins of the servers that they watch.",
        )
    return BackendUnavailableError(
        f"No sentinel of {place} was reached that knows a master.",
        backend=scheme,
        remedy="Check that they run, that the service is called so, and that TLS is as it "
        "should be.",
    )


def _of_answer(error: exceptions.ResponseError, place: str, scheme: str) -> SfmError:
    if isinstance(error, exceptions.OutOfMemoryError) or _has(error, "OOM"):
        return StorageFullError(
            f"{place} has no memory left; nothing was changed.",
            backend=scheme,
            remedy="Raise its maxmemory, or remove data.",
        )
    if isinstance(error, exceptions.ReadOnlyError) or _has(error, "READONLY", "NOREPLICAS"):
        return ReadOnlyStorageError(
            f"{place} accepts no writes: {error}.",
            backend=scheme,
            remedy="Connect to the master, with redis+sentinel: where it moves, and see that "
            "its replicas are connected.",
        )
    if _has(error, "MISCONF"):
        return ReadOnlyStorageError(
            f"{place} accepts no writes because it cannot write to its disk: {error}.",
            backend=scheme,
            remedy="Free space on its disk and see its log.",
        )
    if _has(error, "WRONGTYPE"):
        return CorruptDataError(
            f"{place} holds data of another program under our keys.",
            backend=scheme,
            remedy="Choose another ?prefix=.",
        )
    if "compiling script" in str(error):
        return ConfigurationError(
            f"{place} is too old.", remedy="Use Redis 7 or later, or Valkey 8 or later."
        )
    return BackendError(f"{place} refused to work: {error}.", backend=scheme)


def _has(error: Exception, *codes: str) -> bool:
    return str(error).startswith(codes)
