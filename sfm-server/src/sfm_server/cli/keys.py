"""Commands about the file of keys that the truth is encrypted with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from sfm_core.errors import ConfigurationError
from sfm_server.cli.output import show, table
from sfm_server.encryption.keeping import add_key, listed_keys
from sfm_server.encryption.key_file import SETTING
from sfm_server.encryption.key_format import StoredKey
from sfm_server.loading import load_settings

_file_option = click.option("--file", metavar="FILE", help="The file; default: the setting's.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_id_argument = click.argument("key_id", metavar="ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKey:
    """A key of the file, without its bytes.

    Attributes:
        id: Its name.
        namespace: The one namespace that it is for; `None` is all that have none of their own.
        created_at: When it was made.
        destroyed_at: When it was destroyed.
    """

    id: str
    namespace: str | None
    created_at: datetime | None
    destroyed_at: datetime | None


@click.command()
@_id_argument
@click.option("--for", "namespace", metavar="NAME", help="The one namespace that it is for.")
@_file_option
@_json_option
def new(*, key_id: str, namespace: str | None, file: str | None, as_json: bool) -> None:
    """Make a key ID; servers encrypt with it within seconds what is written."""
    add_key(_path(file), key_id, namespace=namespace, at=datetime.now(UTC).replace(microsecond=0))
    show({"made": key_id}, as_json=as_json, text=lambda: f"Made {key_id}.")


@click.command("list")
@_file_option
@_json_option
def list_keys(*, file: str | None, as_json: bool) -> None:
    """List the keys, the newest last, and what each is for."""
    listed = [_listed(key) for key in listed_keys(_path(file))]
    show(listed, as_json=as_json, text=lambda: _listing(listed))


def _path(file: str | None) -> Path:
    path = Path(file) if file else load_settings().settings.encryption_keys_file
    if path is None:
        raise ConfigurationError(
            f"{SETTING} is not set.",
            setting=SETTING,
            remedy="Set it, for the server too, or name the file with --file.",
        )
    return path


def _listed(key: StoredKey) -> ListedKey:
    return ListedKey(
        id=key.id,
        namespace=key.namespace,
        created_at=key.created_at,
        destroyed_at=key.destroyed_at,
    )


def _listing(keys: Sequence[ListedKey]) -> str:
    if not keys:
        return "There are no keys."
    return table(
        ["ID", "FOR", "MADE", "DESTROYED"],
        [
            [
                key.id,
                "all others" if key.namespace is None else key.namespace,
                *(
                    moment.isoformat(timespec="seconds") if moment else "-"
                    for moment in (key.created_at, key.destroyed_at)
                ),
            ]
            for key in keys
        ],
    )
