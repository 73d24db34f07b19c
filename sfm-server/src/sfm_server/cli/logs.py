"""How commands that run for long log."""

from __future__ import annotations

from sfm_server.settings import Settings


def log_config(settings: Settings) -> dict[str, object]:
    """Return a configuration of `logging`: one line a message, on standard error.

    Args:
        settings: Say from which level on.

    Returns:
        What `logging.config.dictConfig` takes.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "stream": "ext://sys.stderr",
            },
        },
        "root": {"handlers": ["stderr"], "level": settings.log_level.upper()},
        # Clients' request lines would show what people ask of their memory.
        "loggers": {"httpx": {"level": "WARNING"}},
    }
