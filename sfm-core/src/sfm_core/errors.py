"""Every error that SomaFractalMemory raises.

::

    SfmError
    ├── InvalidInputError
    │   ├── InvalidCoordinateError
    │   ├── InvalidPayloadError
    │   ├── InvalidFilterError
    │   ├── InvalidPositionError
    │   ├── InvalidCursorError
    │   └── LimitExceededError
    ├── NotFoundError
    ├── EventsGoneError
    ├── HistoryGoneError
    ├── VersionConflictError
    ├── PreconditionFailedError
    ├── IdempotencyKeyReusedError
    ├── ConfigurationError
    │   ├── EventsOffError
    │   └── PluginError
    ├── BackendError
    │   ├── BackendUnavailableError
    │   │   └── DeadlineExceededError
    │   ├── StorageFullError
    │   ├── ReadOnlyStorageError
    │   │   └── SupersededError
    │   ├── CorruptDataError
    │   ├── EncryptionKeyError
    │   │   └── KeyDestroyedError
    │   └── UnsupportedError
    └── ClosedError

`code` is stable: programs may compare it. `retryable` says whether the same
call, unchanged, can succeed later. `remedy` is a sentence for the person who
reads the message.
"""

from __future__ import annotations

from typing import ClassVar


class SfmError(Exception):
    """Base of every error that this project raises on purpose.

    Attributes:
        code: Stable, kebab-case name of the kind of error.
        retryable: Whether the same call can succeed later without a change.
        remedy: What the reader can do about it; empty where nothing is known.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, remedy: str = "") -> None:
        """Keep what happened and what to do about it.

        Args:
            message: What happened, in one sentence.
            remedy: What the reader can do about it.
        """
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the message, followed by the remedy where there is one."""
        return f"{self.message} {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[object, ...]:
        """Let it be copied, and be sent to another process, with all that it says."""
        return _revived, (type(self), self.args, self.__dict__)


def _revived(kind: type[SfmError], args: tuple[object, ...], said: dict[str, object]) -> SfmError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(said)
    return error


class InvalidInputError(SfmError):
    """A value from the caller is not acceptable; nothing was changed.

    Attributes:
        field: Dotted name of the offending field, as the caller wrote it.
    """

    code = "invalid-input"

    def __init__(self, message: str, *, field: str, remedy: str = "") -> None:
        """Name the field along with what is wrong with it.

        Args:
            message: What is wrong.
            field: Dotted name of the offending field.
            remedy: What would be accepted instead.
        """
        super().__init__(message, remedy=remedy)
        self.field = field


class InvalidCoordinateError(InvalidInputError):
    """A coordinate is malformed: empty, too long, or not finite."""

    code = "invalid-coordinate"


class InvalidPayloadError(InvalidInputError):
    """A payload is not a JSON object that can be stored without loss."""

    code = "invalid-payload"


class InvalidFilterError(InvalidInputError):
    """A filter has an unknown operator or an operand of the wrong type."""

    code = "invalid-filter"


class InvalidPositionError(InvalidInputError):
    """A position is malformed, or of a truth that this one does not go on from."""

    code = "invalid-position"


class InvalidCursorError(InvalidInputError):
    """A cursor is malformed, or of another listing than the one that is asked for."""

    code = "invalid-cursor"


class LimitExceededError(InvalidInputError):
    """A batch, text, payload or page is larger than the configured limit."""

    code = "limit-exceeded"


class NotFoundError(SfmError):
    """The memory or link that the call is about does not exist."""

    code = "not-found"


class EventsGoneError(SfmError):
    """Events after the position are not in the log any more; reading on would miss some."""

    code = "events-gone"


class HistoryGoneError(SfmError):
    """What is kept of a memory does not tell what was there at that time."""

    code = "history-gone"


class VersionConflictError(SfmError):
    """The memory is not at the version that the caller expected.

    Attributes:
        expected: The version the caller named; 0 stands for "absent".
        actual: The version in the truth; 0 stands for "absent".
    """

    code = "version-conflict"

    def __init__(self, message: str, *, expected: int, actual: int, remedy: str = "") -> None:
        """Keep both versions, so that the caller can decide.

        Args:
            message: What happened.
            expected: The version the caller named.
            actual: The version in the truth.
            remedy: What the caller can do.
        """
        super().__init__(message, remedy=remedy)
        self.expected = expected
        self.actual = actual


class PreconditionFailedError(SfmError):
    """The memory is not at a revision that the caller demanded; nothing was changed."""

    code = "precondition-failed"


class IdempotencyKeyReusedError(SfmError):
    """The idempotency key was given to another write before; nothing was changed."""

    code = "idempotency-key-reused"


class ConfigurationError(SfmError):
    """A setting, URL or combination of settings cannot work; nothing was started.

    Attributes:
        setting: Name of the setting or environment variable, or "".
    """

    code = "configuration"

    def __init__(self, message: str, *, setting: str = "", remedy: str = "") -> None:
        """Name the setting along with what is wrong with it.

        Args:
            message: What is wrong.
            setting: Name of the setting or environment variable.
            remedy: What would work.
        """
        super().__init__(message, remedy=remedy)
        self.setting = setting


class PluginError(ConfigurationError):
    """A plugin breaks the rules of the plugin API, or the selected one is unusable."""

    code = "plugin"


class EventsOffError(ConfigurationError):
    """Events are turned off, and what was asked for needs them."""

    code = "events-off"


class BackendError(SfmError):
    """A backend failed.

    Attributes:
        backend: Scheme of the backend that failed, e.g. "sqlite".
    """

    code = "backend"

    def __init__(self, message: str, *, backend: str, remedy: str = "") -> None:
        """Name the backend along with what happened.

        Args:
            message: What happened.
            backend: Scheme of the backend.
            remedy: What an operator can do.
        """
        super().__init__(message, remedy=remedy)
        self.backend = backend


class BackendUnavailableError(BackendError):
    """The backend could not be reached or is too busy; the call may have had its effect."""

    code = "backend-unavailable"
    retryable = True


class DeadlineExceededError(BackendUnavailableError):
    """The backend did not answer in time; the call may have had its effect."""

    code = "deadline-exceeded"


class StorageFullError(BackendError):
    """There is no room left; the call had no effect."""

    code = "storage-full"
    retryable = True


class ReadOnlyStorageError(BackendError):
    """The store accepts no writes; the call had no effect."""

    code = "storage-read-only"


class SupersededError(ReadOnlyStorageError):
    """Another truth has taken over from this one, so this one takes no more writes.

    The call had no effect. Memories can still be read; they are as they were
    when the other truth took over.
    """

    code = "truth-superseded"


class CorruptDataError(BackendError):
    """Stored data could not be understood. It is reported, never treated as missing."""

    code = "corrupt-data"


class EncryptionKeyError(BackendError):
    """What is stored is encrypted with a key that is not at hand; nothing of it is lost by that.

    Attributes:
        key_id: Which key is missing, wrong or destroyed; "" where no key is known.
    """

    code = "encryption-key"

    def __init__(self, message: str, *, backend: str, key_id: str = "", remedy: str = "") -> None:
        """Name the key along with what is wrong with it.

        Args:
            message: What is wrong.
            backend: Scheme of the backend that holds the data.
            key_id: Which key.
            remedy: What an operator can do.
        """
        super().__init__(message, backend=backend, remedy=remedy)
        self.key_id = key_id


class KeyDestroyedError(EncryptionKeyError):
    """What is stored was encrypted with a key that was destroyed, so that nobody can read it."""

    code = "encryption-key-destroyed"


class UnsupportedError(BackendError):
    """The backend does not have the capability that the call needs."""

    code = "unsupported"


class ClosedError(SfmError):
    """The object was used before it was opened or after it was closed."""

    code = "closed"
