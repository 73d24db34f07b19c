"""Fixtures of the server's tests."""

from __future__ import annotations

from fix_app import api, app, clean_environment, settings
from fix_consuming import ConsumerProcess, consumer
from fix_serving import Server, serve, server

__all__ = [
    "ConsumerProcess",
    "Server",
    "api",
    "app",
    "clean_environment",
    "consumer",
    "serve",
    "server",
    "settings",
]
