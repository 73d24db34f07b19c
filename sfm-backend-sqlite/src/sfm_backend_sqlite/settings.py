"""What can be chosen about an SQLite file, and how a URL says it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from sfm_core.errors import ConfigurationError

SCHEME = "sqlite"
DEFAULT_FILE = "sfm.db"

_REMEDY = (
    'Write "sqlite:" for the data folder\'s own file or "sqlite:///absolute/path.db", with '
    "?durability=full|normal, &lock_timeout_seconds=30 or &resident_points=2000000 where wanted."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteSettings:
    """How one SQLite file is used.

    Attributes:
        path: The database file; its folder is made where it is missing.
        index_folder: Where snapshots of the search index are kept.
        durable: Whether an acknowledged commit survives a power cut. If not,
            it still survives the loss of the process, and writing is faster.
        lock_timeout: How long to wait while other processes write.
        readers: Connections that read at the same time.
        resident_points: Points of all namespaces that searches may keep in
            memory before the namespace that was unused for longest is let go.
        approximate_from: Points from which on a namespace is searched through
            a graph of neighbours; below, a matrix product is as fast and exact.
        snapshot_from: Points from which on a namespace's index is kept as a
            snapshot; below, reading the points is as fast.
    """

    path: Path
    index_folder: Path
    durable: bool = True
    lock_timeout: timedelta = timedelta(seconds=30)
    readers: int = 2
    resident_points: int = 2_000_000
    approximate_from: int = 16_384
    snapshot_from: int = 5_000

    @classmethod
    def parse(cls, url: str, data_folder: Path) -> SqliteSettings:
        """Read a URL.

        Args:
            url: `sqlite:`, `sqlite:name.db` (inside the data folder) or
                `sqlite:///absolute/path.db`, with options as a query.
            data_folder: Folder of the data and of the index snapshots.

        Returns:
            The settings.

        Raises:
            ConfigurationError: The URL names a host or an unknown option, or
                an option has an impossible value.
        """
        parts = urlsplit(url)
        if parts.netloc or parts.fragment:
            raise ConfigurationError(f"{url!r} names a host, but SQLite is a file.", remedy=_REMEDY)
        path = data_folder / (unquote(parts.path) or DEFAULT_FILE)
        settings = cls(path=path.absolute(), index_folder=data_folder.absolute() / "index")
        for name, value in _options(parts, url):
            settings = _with_option(settings, name, value)
        return settings


def _options(parts: SplitResult, url: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise ConfigurationError(f"{url!r} has a malformed query.", remedy=_REMEDY) from error


def _with_option(settings: SqliteSettings, name: str, value: str) -> SqliteSettings:
    match name:
        case "durability" if value in {"full", "normal"}:
            return replace(settings, durable=value == "full")
        case "lock_timeout_seconds" if value.isdecimal():
            return replace(settings, lock_timeout=timedelta(seconds=int(value)))
        case "resident_points" if value.isdecimal():
            return replace(settings, resident_points=int(value))
        case _:
            raise ConfigurationError(
                f"The SQLite option {name}={value} is unknown or has no such value.",
                setting=name,
                remedy=_REMEDY,
            )
