"""What can be chosen about PostgreSQL, and how a URL and the environment say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sfm_backend_postgres._security import check_security, with_certificates_of_the_system
from sfm_backend_postgres._variables import (
    ADDRESS,
    SCHEME,
    SHORT_SCHEME,
    TLS_CERT,
    TLS_KEY,
    TLS_MODE,
    TLS_ROOT_CERT,
    is_bare,
)
from sfm_core.errors import ConfigurationError

_REMEDY = (
    'Write "postgresql://user:password@host:5432/database", with libpq\'s options and '
    "?pool_size=10, &migrations=all|pre, &prepared_statements=on|off or &listen=on|off where "
    "wanted."
)
_TLS = {
    TLS_MODE: "sslmode",
    TLS_ROOT_CERT: "sslrootcert",
    TLS_CERT: "sslcert",
    TLS_KEY: "sslkey",
}
# A server that is gone without a word must not hold a call for the quarter of an
# hour that the system's own settings allow.
_DEFAULTS = {
    "application_name": "somafractalmemory",
    "client_encoding": "utf8",
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_TLS_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
_CHOICES = {
    "pool_size": None,
    "migrations": frozenset({"all", "pre"}),
    "prepared_statements": frozenset({"on", "off"}),
    "listen": frozenset({"on", "off"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """How one database is used.

    Attributes:
        conninfo: What libpq is told, the password included.
        place: Host, port and database, for messages.
        pool_size: Most connections of this process to the database.
        post_migrations: Whether to take also the migration steps that the
            release before this one would not work with.
        prepared_statements: Whether statements are prepared on the server.
            Behind a pooler they are not.
        listen: Whether to keep a connection on which other processes tell of work.
    """

    conninfo: str = field(repr=False)
    place: str
    pool_size: int = 10
    post_migrations: bool = True
    prepared_statements: bool = True
    listen: bool = True

    @classmethod
    def parse(
        cls, url: str, options: Mapping[str, str], *, secure: bool = False
    ) -> PostgresSettings:
        """Read a URL and the options beside it.

        Args:
            url: A libpq URL, with options of this package in its query; or a
                bare `postgresql:`, which stands for `POSTGRES_URL`. Options
                after the bare scheme count before those of `POSTGRES_URL`.
            options: `POSTGRES_URL` for a bare scheme. `POSTGRES_SSL_MODE`,
                `POSTGRES_SSL_ROOT_CERT`, `POSTGRES_SSL_CERT` and
                `POSTGRES_SSL_KEY` count where the URL does not say otherwise.
            secure: Whether to insist on TLS that verifies the server, and on
                credentials.

        Returns:
            The settings.

        Raises:
            ConfigurationError: The URL is malformed or missing, an option is
                unknown or has an impossible value, or what `secure` asks for is
                lacking. The password is not in the message.
        """
        parts = _split(url)
        query = _query(parts)
        if is_bare(url):
            parts = _named_by_the_environment(options)
            query = _query(parts) | query
        own = {name: query.pop(name) for name in _CHOICES if name in query}
        for name, value in own.items():
            _check(name, value)
        tls = {name: options[key] for key, name in _TLS.items() if options.get(key)}
        _check_tls_mode(query.get("sslmode", tls.get("sslmode", "prefer")))
        defaults = _DEFAULTS | tls
        try:
            # Not `urlunsplit`, which leaves out the slashes where no host is named.
            options_of_libpq = urlencode(query, quote_via=quote)
            given = conninfo_to_dict(f"{SCHEME}://{parts.netloc}{parts.path}?{options_of_libpq}")
            known = with_certificates_of_the_system({**defaults, **given})
            conninfo = make_conninfo("", **known)
        except psycopg.Error as error:
            # The driver's own message may quote the password, so it is no cause either.
            raise ConfigurationError(_malformed(error), remedy=_REMEDY) from None
        if secure:
            check_security(known)
        return cls(
            conninfo=conninfo,
            place=_place(given),
            pool_size=int(own.get("pool_size", 10)),
            post_migrations=own.get("migrations", "all") == "all",
            prepared_statements=own.get("prepared_statements", "on") == "on",
            listen=own.get("listen", "on") == "on",
        )


def _named_by_the_environment(options: Mapping[str, str]) -> SplitResult:
    url = options.get(ADDRESS, "")
    parts = _split(url)
    if parts.scheme not in {SCHEME, SHORT_SCHEME} or not url.partition(":")[2].startswith("//"):
        raise ConfigurationError(
            f"{ADDRESS} is no PostgreSQL URL." if url else f"{ADDRESS} is not set.",
            setting=ADDRESS,
            remedy=_REMEDY,
        )
    return parts


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        # Its message may quote the password.
        raise ConfigurationError("The PostgreSQL URL is malformed.", remedy=_REMEDY) from None


def _query(parts: SplitResult) -> dict[str, str]:
    # libpq takes a plus sign as it is.
    text = parts.query.replace("+", "%2B")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)))
    except ValueError as error:
        raise ConfigurationError(
            "The PostgreSQL URL has a malformed query.", remedy=_REMEDY
        ) from error


def _check(name: str, value: str) -> None:
    choices = _CHOICES[name]
    fits = value.isdecimal() and int(value) > 0 if choices is None else value in choices
    if not fits:
        raise ConfigurationError(
            f"The PostgreSQL option {name} cannot be {value!r}.", setting=name, remedy=_REMEDY
        )


def _check_tls_mode(mode: str) -> None:
    if mode not in _TLS_MODES:
        raise ConfigurationError(
            f"The TLS mode cannot be {mode!r}.",
            setting=TLS_MODE,
            remedy=f"Use one of {', '.join(sorted(_TLS_MODES))}.",
        )


def _malformed(error: psycopg.Error) -> str:
    # libpq names an unknown option in quotes, and nothing else of the URL.
    text = str(error)
    if "invalid URI query parameter" in text:
        return f"The PostgreSQL URL has an option that libpq does not know: {text}."
    return "The PostgreSQL URL is malformed."


def _place(given: Mapping[str, object]) -> str:
    host = given.get("host", given.get("hostaddr", "localhost"))
    name = given.get("dbname", given.get("user", ""))
    return f"{host}:{given.get('port', 5432)}/{name}"
