"""Exit statuses, so that scripts can tell what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from sfm_core import errors


class Exit(IntEnum):
    """What the exit status of a command means."""

    OK = 0
    """The command did what it was asked to."""

    FOUND_PROBLEMS = 1
    """It ran to its end and found problems: bad lines, differences, failed checks."""

    INVALID = 2
    """Arguments or data are not acceptable; nothing was changed."""

    NOT_FOUND = 3
    """The memory or link does not exist."""

    CONFLICT = 4
    """The memory is at another version than expected."""

    UNAVAILABLE = 5
    """A backend or the server does not answer; trying again can help."""

    CONFIGURATION = 6
    """A setting or plugin cannot work."""

    FAILED = 7
    """Something else failed."""

    INTERRUPTED = 130
    """The command was interrupted."""


_EXITS: Mapping[type[errors.SfmError], Exit] = MappingProxyType(
    {
        errors.InvalidInputError: Exit.INVALID,
        errors.NotFoundError: Exit.NOT_FOUND,
        errors.VersionConflictError: Exit.CONFLICT,
        errors.PreconditionFailedError: Exit.CONFLICT,
        errors.IdempotencyKeyReusedError: Exit.INVALID,
        errors.BackendUnavailableError: Exit.UNAVAILABLE,
        errors.ConfigurationError: Exit.CONFIGURATION,
    }
)


def exit_of(error: errors.SfmError) -> Exit:
    """Return the exit status that stands for an error."""
    for base in type(error).__mro__:
        if base in _EXITS:
            return _EXITS[base]
    return Exit.FAILED
