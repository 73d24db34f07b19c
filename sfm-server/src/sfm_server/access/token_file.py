"""The file of tokens on the disk."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from sfm_core.errors import ConfigurationError, NotFoundError
from sfm_server.access.token_format import StoredToken, decode_tokens, encode_tokens
from sfm_server.whole_file import Signature, WholeFile


def file_of_tokens(path: Path) -> WholeFile:
    """Return the file of tokens at a path."""
    return WholeFile(path=path, what="file of tokens", setting="SFM_TOKENS_FILE")


def read_tokens(path: Path) -> tuple[tuple[StoredToken, ...], Signature]:
    """Read the file.

    Args:
        path: Where it is.

    Returns:
        The tokens, and the signature of the file that they are from.

    Raises:
        ConfigurationError: It cannot be read or used.
        FileNotFoundError: There is none.
    """
    found = file_of_tokens(path).read()
    return decode_tokens(found.content), found.signature


def signature_of(path: Path) -> Signature | None:
    """Return the signature of the file that is there now; `None` where none is."""
    return file_of_tokens(path).signature()


def add_token(path: Path, token: StoredToken) -> None:
    """Add a token.

    Args:
        path: The file; made where there is none.
        token: What to add.

    Raises:
        ConfigurationError: The file cannot be used, or has a token of that name.
    """
    with _editing(path) as tokens:
        if any(one.id == token.id for one in tokens):
            raise ConfigurationError(
                f"There is a token {token.id} already.",
                remedy="Choose another name, and revoke the old one when nobody uses it.",
            )
        tokens.append(token)


def remove_token(path: Path, name: str) -> None:
    """Remove a token.

    Args:
        path: The file.
        name: Name of the token.

    Raises:
        ConfigurationError: The file cannot be used.
        NotFoundError: It has no token of that name.
    """
    with _editing(path) as tokens:
        kept = [one for one in tokens if one.id != name]
        if len(kept) == len(tokens):
            raise NotFoundError(f"There is no token {name}.")
        tokens[:] = kept


@contextmanager
def _editing(path: Path) -> Generator[list[StoredToken]]:
    """Let nobody else edit the file meanwhile, and replace it at the end."""
    file = file_of_tokens(path)
    with file.locked():
        tokens: list[StoredToken] = []
        with suppress(FileNotFoundError):
            tokens.extend(read_tokens(path)[0])
        yield tokens
        file.replace(encode_tokens(tokens))
