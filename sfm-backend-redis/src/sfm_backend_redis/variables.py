"""What environment variables say about a Redis or Valkey, for a URL that leaves it to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sfm_backend_redis.settings import (
    DEFAULT_PORT,
    PASSWORD_OPTION,
    Form,
    RedisSettings,
)
from sfm_core.errors import ConfigurationError
from sfm_core.registry import BackendContext

URL_OPTION: Final = "REDIS_URL"
HOST_OPTION: Final = "REDIS_HOST"
PORT_OPTION: Final = "REDIS_PORT"
TLS_OPTION: Final = "REDIS_TLS"

OPTIONS: Final[Mapping[str, str]] = {
    URL_OPTION: "The server of a bare `redis:`, in any form that a URL may have.",
    HOST_OPTION: "Host of the server, where `REDIS_URL` is not set. Default: localhost.",
    PORT_OPTION: "Port of the server, where `REDIS_URL` is not set. Default: 6379.",
    TLS_OPTION: "Whether connections are encrypted: true or false. Default: as the URL says.",
    "REDIS_USERNAME": "Who logs in, where the URL does not say.",
    PASSWORD_OPTION: "Password, where the URL has none.",
    "REDIS_SENTINEL_USERNAME": "Who logs in to the sentinels.",
    "REDIS_SENTINEL_PASSWORD": "Password for the sentinels.",
    "REDIS_TLS_CA_FILE": "File with the certificates of those who may sign the server's.",
    "REDIS_TLS_CERT_FILE": "File with the client's certificate.",
    "REDIS_TLS_KEY_FILE": "File with the key of the client's certificate.",
}
"""What the factories read beside their URL."""

_SWITCH: Final = {"": False, "false": False, "0": False, "true": True, "1": True}
# How others write what has a name of its own here.
_UNIX: Final = "unix:"
# What Kubernetes and Docker put into a container beside a service that is called redis.
_LINKED: Final = "tcp://"


def choose(url: str, context: BackendContext, *, setting: str) -> RedisSettings:
    """Find out which Redis a URL means.

    Args:
        url: One of the forms in this package's README. `redis:` alone, with a
            query or without, takes the address from the variables, and
            `rediss:` does so and encrypts.
        context: Holds the variables.
        setting: What to call the URL in an error.

    Returns:
        The settings. Options of the URL outweigh those of `REDIS_URL`.

    Raises:
        ConfigurationError: The URL or a variable cannot work, or encryption or
            a password is required and missing. The variable is named.
    """
    options = context.options
    if _is_bare(url):
        scheme, _, query = url.partition(":")
        tls = scheme == Form.TLS or _encrypted(options)
        settings = _by_variables(options, tls=tls).with_query(query.removeprefix("?"))
        by_host = options.get(HOST_OPTION) and not options.get(URL_OPTION)
        setting = TLS_OPTION if by_host else URL_OPTION
    else:
        settings = RedisSettings.parse(url, options)
    if context.secure:
        _require_security(settings, setting)
    return settings


def is_set_up(url: str, context: BackendContext) -> bool:
    """Tell whether somebody said where the server is.

    Args:
        url: The URL of a store.
        context: Holds the variables.

    Returns:
        Whether the URL or a variable names a server.
    """
    options = context.options
    return not _is_bare(url) or bool(options.get(URL_OPTION) or options.get(HOST_OPTION))


def _is_bare(url: str) -> bool:
    scheme, _, rest = url.partition(":")
    return scheme in {Form.PLAIN, Form.TLS} and rest[:1] in {"", "?"}


def _by_variables(options: Mapping[str, str], *, tls: bool) -> RedisSettings:
    url = options.get(URL_OPTION, "")
    name = URL_OPTION
    if not url:
        name = HOST_OPTION
        url = f"redis://{_host(options)}:{_port(options)}"
    elif url.startswith(_UNIX):
        url = f"{Form.UNIX}:{url.removeprefix(_UNIX)}"
    try:
        settings = RedisSettings.parse(url, {})
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{name} cannot be used: {error.message}", setting=name, remedy=error.remedy
        ) from error
    if tls and settings.form is not Form.UNIX:
        form = Form.TLS if settings.form is Form.PLAIN else settings.form
        settings = replace(settings, form=form, tls=True)
    return settings.completed(options)


def _host(options: Mapping[str, str]) -> str:
    host = options.get(HOST_OPTION, "") or "localhost"
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _port(options: Mapping[str, str]) -> int:
    text = options.get(PORT_OPTION, "") or str(DEFAULT_PORT)
    port = text.rpartition(":")[2] if text.startswith(_LINKED) else text
    if not (port.isdecimal() and port.isascii() and 0 < int(port) < 1 << 16):
        raise ConfigurationError(
            f"{PORT_OPTION} is {text!r}, which is no port.",
            setting=PORT_OPTION,
            remedy="Use a number from 1 to 65535.",
        )
    return int(port)


def _encrypted(options: Mapping[str, str]) -> bool:
    text = options.get(TLS_OPTION, "").lower()
    if text not in _SWITCH:
        raise ConfigurationError(
            f"{TLS_OPTION} is {text!r}.", setting=TLS_OPTION, remedy="Use true or false."
        )
    return _SWITCH[text]


def _require_security(settings: RedisSettings, setting: str) -> None:
    if not settings.tls:
        raise ConfigurationError(
            f"{settings.place} is not encrypted, which this mode requires.",
            setting=setting,
            remedy=f"Use rediss://host:6380/0, or ?tls=true with sentinels or a cluster, "
            f"in {URL_OPTION}; or {HOST_OPTION} with {TLS_OPTION}=true.",
        )
    if not settings.password:
        raise ConfigurationError(
            f"There is no password for {settings.place}, which this mode requires.",
            setting=PASSWORD_OPTION,
            remedy=f"Set {PASSWORD_OPTION}, or put user and password into the URL.",
        )
