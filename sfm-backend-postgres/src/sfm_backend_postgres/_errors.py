"""The one place where PostgreSQL's errors become those of `sfm_core.errors`."""

from __future__ import annotations

import psycopg

from sfm_backend_postgres._variables import SCHEME
from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    CorruptDataError,
    LimitExceededError,
    ReadOnlyStorageError,
    SfmError,
    StorageFullError,
)

# Serialization failure and deadlock: the server rolled back, so trying again is safe.
_REPEATABLE = frozenset({"40001", "40P01"})
_FULL = frozenset({"53100"})
_READ_ONLY = frozenset({"25006"})
_DAMAGED = frozenset({"XX001", "XX002"})
_TOO_LARGE = frozenset({"54000"})
# Lost connection, rollback, no resources, interrupted or not allowed to wait, system error.
_UNAVAILABLE = ("08", "40", "53", "55", "57", "58")
_LOGIN_STATES = ("28", "3D")
# A server refuses a login with a code that libpq does not hand on, so its text decides.
# Texts in another language count as unavailable: the same error, with a vaguer remedy.
_REFUSED_LOGIN = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "role ",
    "is not permitted to log in",
)
_TLS_TEXTS = ("SSL", "certificate", "private key")


def is_repeatable(error: psycopg.Error) -> bool:
    """Tell whether the server undid the transaction only because another was in the way."""
    return error.sqlstate in _REPEATABLE


def is_lost(error: psycopg.Error) -> bool:
    """Tell whether the connection was lost, so that another one may work."""
    state = error.sqlstate or ""
    return isinstance(error, psycopg.OperationalError) and (not state or state[:3] == "57P")


def translate(error: psycopg.Error, place: str) -> SfmError:
    """Return our error for one of the driver's.

    Args:
        error: What the driver raised.
        place: The database at work.

    Returns:
        The error to raise from it.
    """
    state = error.sqlstate or ""
    if state in _FULL:
        return StorageFullError(
            f"{place} has no room; nothing was changed.",
            backend=SCHEME,
            remedy="Free space on the disk of the PostgreSQL server.",
        )
    if state in _READ_ONLY:
        return ReadOnlyStorageError(
            f"{place} accepts no writes; nothing was changed.",
            backend=SCHEME,
            remedy="Name the primary server, for example with target_session_attrs=read-write.",
        )
    if state in _DAMAGED:
        return CorruptDataError(
            f"{place} is damaged: {_first_line(error)}.",
            backend=SCHEME,
            remedy="Restore it from a backup.",
        )
    if state in _TOO_LARGE:
        return LimitExceededError(
            f"A value is larger than PostgreSQL can hold: {_first_line(error)}.",
            field="value",
            remedy="Split it.",
        )
    return _of_access(error, state, place)


def _of_access(error: psycopg.Error, state: str, place: str) -> SfmError:
    if state.startswith(_LOGIN_STATES):
        return _login_refused(error, place)
    if state == "42501":
        return ConfigurationError(
            f"This user may not work on {place}: {_first_line(error)}.",
            remedy="Grant it USAGE on the schema sfm and all rights on its tables, or let its "
            "owner start once; the first start needs CREATE on the database.",
        )
    if (not state and isinstance(error, psycopg.OperationalError)) or state.startswith(
        _UNAVAILABLE
    ):
        return BackendUnavailableError(
            f"{place} could not be reached or was too busy: {_first_line(error)}.",
            backend=SCHEME,
            remedy="Check that the PostgreSQL server runs and is reachable from here.",
        )
    return BackendError(
        f"PostgreSQL refused to work on {place}: {_first_line(error)}.", backend=SCHEME
    )


def translate_login(error: psycopg.Error, place: str) -> SfmError:
    """Return our error for a connection that could not be made.

    Args:
        error: What the driver raised.
        place: The database that was to be opened.

    Returns:
        A `ConfigurationError` where another try would fail the same way, else
        what `translate` returns.
    """
    text = str(error)
    if any(part in text for part in _REFUSED_LOGIN):
        return _login_refused(error, place)
    if 'database "' in text and "does not exist" in text:
        return ConfigurationError(
            f"There is no database {place}.",
            setting="POSTGRES_URL",
            remedy="Create it, or name another one in the URL.",
        )
    if any(part in text for part in _TLS_TEXTS) and "starting up" not in text:
        return ConfigurationError(
            f"No TLS connection to {place}: {_first_line(error)}.",
            setting="POSTGRES_SSL_MODE",
            remedy="Check POSTGRES_SSL_MODE, POSTGRES_SSL_ROOT_CERT, POSTGRES_SSL_CERT and "
            "POSTGRES_SSL_KEY against what the server offers.",
        )
    return translate(error, place)


def _login_refused(error: psycopg.Error, place: str) -> ConfigurationError:
    return ConfigurationError(
        f"{place} refuses the login: {_first_line(error)}.",
        setting="POSTGRES_URL",
        remedy="Check user and password in the URL, and the server's pg_hba.conf.",
    )


def _first_line(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
