"""Log lines as JSON objects, and as text."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import msgspec

from sfm_server.observing.ids import REQUEST_ID, TRACE_ID
from sfm_server.settings import Settings

_encoder = msgspec.json.Encoder(enc_hook=repr)
_FACTS = ("method", "route", "status", "duration_seconds")
"""What log calls may tell beside their message."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: vars(record)[name] for name in _FACTS if name in vars(record)}
        line |= _ids(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encoder.encode(line).decode()


class TextFormatter(logging.Formatter):
    """Time, level, logger and message; the id of the request at the end."""

    def __init__(self) -> None:
        """Use the one format that there is."""
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return the line without an exception."""
        ids = "".join(f" {name}={value}" for name, value in _ids(record).items())
        # A line of the log is one line, whoever chose its words.
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n") + ids


class IdFilter(logging.Filter):
    """Notes in each record which request it belongs to, while that is still known."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass."""
        record.request_id = REQUEST_ID.get()
        record.trace_id = TRACE_ID.get()
        return True


def log_config(settings: Settings) -> dict[str, object]:
    """Return a configuration of `logging`: one line a message, on standard error.

    Args:
        settings: Say from which level on, and in which form.

    Returns:
        What `logging.config.dictConfig` takes.
    """
    form = JsonFormatter if settings.log_format == "json" else TextFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"ids": {"()": f"{__name__}.{IdFilter.__name__}"}},
        "formatters": {"line": {"()": f"{__name__}.{form.__name__}"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["ids"],
                "stream": "ext://sys.stderr",
            },
        },
        "root": {"handlers": ["stderr"], "level": settings.log_level.upper()},
        "loggers": {
            # Clients' request lines would show what people ask of their memory.
            "httpx": {"level": "WARNING"},
            # Whether the collector of traces takes them is a figure, not news.
            "opentelemetry": {"level": "CRITICAL"},
        },
    }


def _ids(record: logging.LogRecord) -> dict[str, object]:
    named = {name: vars(record).get(name) for name in ("request_id", "trace_id")}
    return {name: value for name, value in named.items() if value}
