"""Stores whose files can be searched for words."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from postgres_server import PostgresServer, make_database, wheel_binaries
from qdrant_helpers import written_in
from redis_server import Server


@dataclass(frozen=True, slots=True)
class RawStore:
    """A store with all of its files in one folder, which can be stopped so that they are whole."""

    url: str
    stop: Callable[[], None]


@contextmanager
def store_in(folder: Path, kind: str) -> Generator[RawStore]:
    """Start a store that keeps everything below a folder."""
    match kind:
        case "redis":
            redis = Server(folder, ("--appendonly", "yes", "--appendfsync", "always"))
            redis.start()
            try:
                yield RawStore(redis.url, redis.stop)
            finally:
                redis.stop()
        case "postgresql":
            postgres = PostgresServer(folder, wheel_binaries())
            postgres.start()
            try:
                yield RawStore(make_database(postgres.url), postgres.stop)
            finally:
                postgres.discard()
        case _:
            yield RawStore(f"{kind}:", lambda: None)


def files_with(folder: Path, *words: str) -> dict[str, list[str]]:
    """Return the files in a folder that have a word in their bytes, by word."""
    files: dict[Path, bytes] = {}
    for path in sorted(folder.rglob("*")):
        # A store that runs makes and removes files meanwhile.
        with suppress(FileNotFoundError):
            if path.is_file():
                files[path] = written_in(path)
    assert files
    return {
        word: [str(path.relative_to(folder)) for path in files if word.encode() in files[path]]
        for word in words
    }
