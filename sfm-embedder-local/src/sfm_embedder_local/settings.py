"""Settings of the embedders, read from the URL that chooses them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from sfm_core.errors import ConfigurationError
from sfm_core.registry import BackendContext

URL_SETTING = "SFM_EMBEDDER_URL"
API_KEY_SETTING = "OPENAI_API_KEY"
DEFAULT_ENDPOINT = "https://api.openai.com/v1"

_OPENAI_OPTIONS = frozenset(
    {
        "batch",
        "concurrency",
        "deadline_seconds",
        "dim",
        "max_characters",
        "model",
        "revision",
        "timeout_seconds",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAiSettings:
    """How to reach an endpoint that speaks the OpenAI embeddings API.

    Attributes:
        endpoint: Base URL, to which `/embeddings` is added.
        model: Name of the model there.
        dimension: Length of its vectors.
        revision: Change it when the service begins to answer with other
            vectors under the same name; everything is then embedded anew.
        api_key: Sent as bearer token; empty sends none.
        batch: Texts in one request.
        concurrency: Requests under way at once.
        max_characters: A text is cut here, as services refuse texts that are
            too long for the model.
        timeout: How long one request may take.
        deadline: How long one call may take with all its retries.
    """

    endpoint: str
    model: str
    dimension: int
    revision: str = "1"
    api_key: str = ""
    batch: int = 64
    concurrency: int = 4
    max_characters: int = 8_000
    timeout: timedelta = timedelta(seconds=30)
    deadline: timedelta = timedelta(seconds=120)

    def __repr__(self) -> str:
        """Show everything but the key, which must not reach a log."""
        return f"OpenAiSettings(endpoint={self.endpoint!r}, model={self.model!r}, …)"


def refuse_options(url: str) -> None:
    """See that a URL is nothing but a scheme.

    Args:
        url: The URL that chose an embedder without options.

    Raises:
        ConfigurationError: Something follows the scheme.
    """
    scheme, _, rest = url.partition(":")
    if rest.strip("/"):
        raise ConfigurationError(
            f"{url!r} has something after its scheme.",
            setting=URL_SETTING,
            remedy=f"Write {scheme}: alone; it has no options.",
        )


def openai_settings(url: str, context: BackendContext) -> OpenAiSettings:
    """Read the settings of an `openai:` embedder.

    Args:
        url: `openai:?model=…&dim=…` for the hosted service, or
            `openai+http://host:port/v1?model=…&dim=…` (or `openai+https://`)
            for any other.
        context: Its options may hold the API key, and it may require encryption and a key.

    Returns:
        The settings.

    Raises:
        ConfigurationError: Something is missing, unknown or out of range, or
            the endpoint is called without encryption or a key where the
            context requires them.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - _OPENAI_OPTIONS)
    if unknown:
        raise _wrong(f"has the unknown option {unknown[0]!r}", sorted(_OPENAI_OPTIONS))
    if parts.username is not None:
        raise ConfigurationError(
            "The URL of the embedder holds credentials.",
            setting=URL_SETTING,
            remedy=f"Put the key into {API_KEY_SETTING}: URLs are shown in logs and listings.",
        )
    endpoint = _endpoint(url)
    api_key = context.options.get(API_KEY_SETTING, "")
    if context.secure:
        _require_security(endpoint, api_key)
    return OpenAiSettings(
        endpoint=endpoint,
        model=_required(options, "model"),
        dimension=_whole(options, "dim", _required(options, "dim"), most=65_536),
        revision=options.get("revision") or "1",
        api_key=api_key,
        batch=_whole(options, "batch", "64", most=2_048),
        concurrency=_whole(options, "concurrency", "4", most=64),
        max_characters=_whole(options, "max_characters", "8000", most=1_000_000),
        timeout=timedelta(seconds=_whole(options, "timeout_seconds", "30", most=3_600)),
        deadline=timedelta(seconds=_whole(options, "deadline_seconds", "120", most=3_600)),
    )


def _require_security(endpoint: str, api_key: str) -> None:
    if not endpoint.startswith("https:"):
        raise ConfigurationError(
            f"The embedder at {endpoint} is not called over TLS, which this mode requires.",
            setting=URL_SETTING,
            remedy="Write openai+https://….",
        )
    if not api_key:
        raise ConfigurationError(
            f"There is no key for the embedder at {endpoint}, which this mode requires.",
            setting=API_KEY_SETTING,
            remedy=f"Set {API_KEY_SETTING}.",
        )


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    _, _, transport = parts.scheme.partition("+")
    if not transport:
        if parts.netloc or parts.path.strip("/"):
            raise ConfigurationError(
                f"{parts.scheme}: names a host, but not how to reach it.",
                setting=URL_SETTING,
                remedy="Write openai+http://… or openai+https://….",
            )
        return DEFAULT_ENDPOINT
    if not parts.hostname or not _valid_port(url):
        raise ConfigurationError(
            f"{parts.scheme}: names no host and port that can be called.",
            setting=URL_SETTING,
            remedy=f"Write {parts.scheme}://host:port/v1?model=…&dim=….",
        )
    return urlunsplit((transport, parts.netloc, parts.path.rstrip("/"), "", ""))


def _valid_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _required(options: dict[str, str], name: str) -> str:
    value = options.get(name, "").strip()
    if not value:
        raise _wrong(f"lacks the option {name!r}", ["model", "dim"])
    return value


def _whole(options: dict[str, str], name: str, default: str, *, most: int) -> int:
    text = options.get(name, default)
    # Longer digits would only be refused after they were converted, which takes ever longer.
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most))):
        number = 0
    else:
        number = int(text)
    if not 1 <= number <= most:
        raise ConfigurationError(
            f"The option {name} of the embedder's URL is {text[:40]!r}.",
            setting=URL_SETTING,
            remedy=f"Give a whole number from 1 to {most}.",
        )
    return number


def _wrong(what: str, names: list[str]) -> ConfigurationError:
    return ConfigurationError(
        f"The URL of the openai: embedder {what}.",
        setting=URL_SETTING,
        remedy=f"Options: {', '.join(names)}.",
    )
