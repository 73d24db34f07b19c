"""What a URL says about a Qdrant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from sfm_backend_qdrant._environment import (
    DEFAULT_PORT,
    HOST_OPTION,
    LARGEST_PORT,
    TLS_OPTION,
    TLS_SCHEME,
    URL_OPTION,
    completed,
    is_bare,
)
from sfm_backend_qdrant.settings import (
    API_KEY_OPTION,
    EDGE_SCHEME,
    LOCAL_SCHEME,
    Grpc,
    QdrantSettings,
    Quantization,
)
from sfm_core.errors import ConfigurationError

VECTOR_SETTING: Final = "SFM_VECTOR_URL"

_REMEDY = (
    'Write "qdrant://host:6333", with ?timeout_seconds=10, &grpc=auto|always|never, '
    "&grpc_port=6334, &prefix=name, &replicas=1, &shards=6, &quantization=none|scalar, "
    "&scan_limit=20000 or &ca_file=/path where wanted; "
    '"qdrants://" for TLS; or "qdrant:" to take the server from QDRANT_URL or QDRANT_HOST.'
)
_LOCAL_REMEDY = (
    'Write "qdrant+local:" for points in memory, "qdrant+local:name" for a folder in the '
    'data folder, or "qdrant+local:///absolute/folder".'
)
_EDGE_REMEDY = (
    'Write "qdrant+edge:" for the folder "qdrant" in the data folder, "qdrant+edge:name" for '
    'another, or "qdrant+edge:///absolute/folder", with ?durability=full|normal, '
    "&timeout_seconds=10 or &scan_limit=20000 where wanted."
)
_EDGE_FOLDER = "qdrant"
_EDGE_OPTIONS = frozenset({"durability", "timeout_seconds", "scan_limit"})
_EDGE_ONLY = frozenset({"durability"})
_DURABLE = {"full": True, "normal": False}


def parse_url(
    url: str, data_folder: Path, options: Mapping[str, str], *, secure: bool = False
) -> QdrantSettings:
    """Read a URL.

    Args:
        url: See the README for its forms.
        data_folder: Where `qdrant+local:name` and `qdrant+edge:name` are.
        options: Environment variables by name: those that a bare URL leaves the
            server to, and `QDRANT_API_KEY`.
        secure: Whether a server must be asked over TLS and with a key.

    Returns:
        The settings.

    Raises:
        ConfigurationError: The URL or a variable is malformed, holds a
            credential, names an unknown option, has an impossible value,
            or is less secure than required.
    """
    parts = urlsplit(url)
    if parts.scheme == LOCAL_SCHEME:
        return _local(parts, url, data_folder)
    if parts.scheme == EDGE_SCHEME:
        return _edge(parts, url, data_folder)
    bare = is_bare(parts)
    server = completed(parts, options) if bare else parts
    settings = _at(server, parts.scheme, options.get(API_KEY_OPTION, ""))
    if secure:
        _demand_security(settings, _naming(options) if bare else VECTOR_SETTING)
    return settings


def _at(parts: SplitResult, scheme: str, api_key: str) -> QdrantSettings:
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "The Qdrant URL holds a credential, which logs and listings would show.",
            setting=API_KEY_OPTION,
            remedy=f"Take it out and set {API_KEY_OPTION}.",
        )
    settings = QdrantSettings(
        scheme=scheme,
        host=_host(parts),
        port=_url_port(parts),
        path=unquote(parts.path).strip("/"),
        tls=parts.scheme == TLS_SCHEME,
        api_key=api_key,
    )
    for name, value in _options(parts):
        if name in _EDGE_ONLY:
            raise _no_option(name)
        settings = _with_option(settings, name, value)
    return settings


def _naming(options: Mapping[str, str]) -> str:
    """Return the variable in which somebody who chose the server so would ask for TLS."""
    by_host = options.get(HOST_OPTION) and not options.get(URL_OPTION)
    return TLS_OPTION if by_host else URL_OPTION


def _demand_security(settings: QdrantSettings, naming: str) -> None:
    if not settings.tls:
        remedies = {
            TLS_OPTION: f"Set {TLS_OPTION}=true.",
            URL_OPTION: f'Set {URL_OPTION}, beginning with "https://".',
            VECTOR_SETTING: f'Let {VECTOR_SETTING} begin with "qdrants://".',
        }
        raise ConfigurationError(
            f"The connection to {settings.place} is not encrypted, which this mode requires.",
            setting=naming,
            remedy=remedies[naming],
        )
    if not settings.api_key:
        raise ConfigurationError(
            f"There is no API key for {settings.place}, which this mode requires.",
            setting=API_KEY_OPTION,
            remedy=f"Set {API_KEY_OPTION}.",
        )


def _local(parts: SplitResult, url: str, data_folder: Path) -> QdrantSettings:
    if parts.netloc or parts.fragment or parts.query:
        raise ConfigurationError(
            f"{url!r} names a host or an option, but has neither.", remedy=_LOCAL_REMEDY
        )
    name = unquote(parts.path)
    folder = (data_folder / name).absolute() if name else None
    return QdrantSettings(scheme=LOCAL_SCHEME, folder=folder)


def _edge(parts: SplitResult, url: str, data_folder: Path) -> QdrantSettings:
    options = _options(parts)
    if parts.netloc or parts.fragment or not _EDGE_OPTIONS.issuperset(name for name, _ in options):
        raise ConfigurationError(
            f"{url!r} names a host or an option that it does not have.", remedy=_EDGE_REMEDY
        )
    folder = (data_folder / (unquote(parts.path) or _EDGE_FOLDER)).absolute()
    settings = QdrantSettings(scheme=EDGE_SCHEME, folder=folder)
    for name, value in options:
        settings = _with_option(settings, name, value)
    return settings


def _host(parts: SplitResult) -> str:
    if not parts.hostname or parts.fragment:
        raise ConfigurationError("The Qdrant URL names no host.", remedy=_REMEDY)
    return parts.hostname


def _url_port(parts: SplitResult) -> int:
    try:
        return parts.port or int(DEFAULT_PORT)
    except ValueError as error:
        raise ConfigurationError(
            "The Qdrant URL has an impossible port.", remedy=_REMEDY
        ) from error


def _options(parts: SplitResult) -> list[tuple[str, str]]:
    try:
        return parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise ConfigurationError("The Qdrant URL has a malformed query.", remedy=_REMEDY) from error


def _with_option(settings: QdrantSettings, name: str, value: str) -> QdrantSettings:
    match name:
        case "grpc" if value in set(Grpc):
            return replace(settings, grpc=Grpc(value))
        case "quantization" if value in set(Quantization):
            return replace(settings, quantization=Quantization(value))
        case "durability" if value in _DURABLE:
            return replace(settings, durable=_DURABLE[value])
        case "prefix" if value:
            return replace(settings, prefix=value)
        case "ca_file" if value:
            return replace(settings, ca_file=Path(value))
        case _ if value.isascii() and value.isdecimal() and int(value) > 0:
            changed = _with_number(settings, name, int(value))
        case _:
            changed = None
    if changed is None:
        raise _no_option(name)
    return changed


def _with_number(settings: QdrantSettings, name: str, number: int) -> QdrantSettings | None:
    match name:
        case "timeout_seconds":
            return replace(settings, timeout=timedelta(seconds=number))
        case "replicas":
            return replace(settings, replicas=number)
        case "shards":
            return replace(settings, shards=number)
        case "scan_limit":
            return replace(settings, scan_limit=number)
        case "grpc_port" if number <= LARGEST_PORT:
            return replace(settings, grpc_port=number)
        case _:
            return None


def _no_option(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"The Qdrant option {name} is unknown or cannot have that value.",
        setting=name,
        remedy=_REMEDY,
    )
