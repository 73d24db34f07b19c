"""Commands about the file of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from sfm_core.errors import ConfigurationError, InvalidInputError
from sfm_server.access.roles import Role
from sfm_server.access.token_file import add_token, read_tokens, remove_token
from sfm_server.access.token_format import StoredGrant, StoredToken
from sfm_server.access.tokens import new_token, parse_grant, store_token
from sfm_server.cli.output import show, table
from sfm_server.loading import load_settings

_MAX_DAYS = 36_500

_file_option = click.option("--file", metavar="FILE", help="The file; default: the setting's.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_id_argument = click.argument("name", metavar="ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was just made; it is shown this once."""

    id: str
    token: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedToken:
    """A token of the file, without what it is known by.

    Attributes:
        id: Its name.
        grants: Roles, and in which namespaces; a prefix ends in `*`.
        created_at: When it was made.
        expires_at: Until when it is good; `None` is for ever.
        expired: Whether that is over.
    """

    id: str
    grants: list[str]
    created_at: datetime | None
    expires_at: datetime | None
    expired: bool


@click.command()
@_id_argument
@click.option("--reader", metavar="NAME", multiple=True, help="May read there; may be repeated.")
@click.option("--writer", metavar="NAME", multiple=True, help="May also write there.")
@click.option("--admin", metavar="NAME", multiple=True, help="May also look after it.")
@click.option(
    "--days", type=float, metavar="DAYS", help="Until when it is good; default: for ever."
)
@_file_option
@_json_option
def new(
    *,
    name: str,
    reader: tuple[str, ...],
    writer: tuple[str, ...],
    admin: tuple[str, ...],
    days: float | None,
    file: str | None,
    as_json: bool,
) -> None:
    """Make a token ID and print it, this once; a NAME ending in * stands for all that begin so."""
    now = datetime.now(UTC).replace(microsecond=0)
    token = new_token()
    given = ((Role.READER, reader), (Role.WRITER, writer), (Role.ADMIN, admin))
    grants = [parse_grant(role, text) for role, names in given for text in names]
    expires_at = None if days is None else now + _lifetime(days)
    add_token(_path(file), store_token(name, token, grants, at=now, expires_at=expires_at))
    made = NewToken(id=name, token=token, expires_at=expires_at)
    show(made, as_json=as_json, text=lambda: token)


@click.command("list")
@_file_option
@_json_option
def list_tokens(*, file: str | None, as_json: bool) -> None:
    """List the tokens and what each allows."""
    path = _path(file)
    try:
        tokens, _ = read_tokens(path)
    except FileNotFoundError:
        tokens = ()
    listed = [_listed(one) for one in tokens]
    show(listed, as_json=as_json, text=lambda: _listing(listed))


@click.command()
@_id_argument
@_file_option
@_json_option
def revoke(*, name: str, file: str | None, as_json: bool) -> None:
    """Remove the token ID; servers refuse it within seconds."""
    remove_token(_path(file), name)
    show({"revoked": name}, as_json=as_json, text=lambda: f"Revoked {name}.")


def _path(file: str | None) -> Path:
    if file:
        return Path(file)
    path = load_settings().settings.tokens_file
    if path is None:
        raise ConfigurationError(
            "SFM_TOKENS_FILE is not set.",
            setting="SFM_TOKENS_FILE",
            remedy="Set it, for the server too, or name the file with --file.",
        )
    return path


def _lifetime(days: float) -> timedelta:
    if not 0 < days <= _MAX_DAYS:
        raise InvalidInputError(
            f"A token cannot be good for {days:g} days.",
            field="days",
            remedy=f"Use more than 0 and at most {_MAX_DAYS}.",
        )
    return timedelta(days=days)


def _listed(token: StoredToken) -> ListedToken:
    return ListedToken(
        id=token.id,
        grants=[text for grant in token.grants for text in _shown(grant)],
        created_at=token.created_at,
        expires_at=token.expires_at,
        expired=token.expires_at is not None and token.expires_at <= datetime.now(UTC),
    )


def _shown(grant: StoredGrant) -> list[str]:
    names = (*grant.namespaces, *(f"{prefix}*" for prefix in grant.prefixes))
    return [f"{grant.role}:{name}" for name in names]


def _listing(tokens: Sequence[ListedToken]) -> str:
    if not tokens:
        return "There are no tokens."
    rows = [[one.id, _until(one), ", ".join(one.grants)] for one in tokens]
    return table(["ID", "UNTIL", "ALLOWS"], rows)


def _until(token: ListedToken) -> str:
    if token.expires_at is None:
        return "for ever"
    return "expired" if token.expired else token.expires_at.isoformat(timespec="seconds")
