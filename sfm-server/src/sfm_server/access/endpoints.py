"""What each endpoint asks of its callers: one table, and what is not in it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sfm_server.access.roles import Role
from sfm_server.access.rules import Rule, Where, Work

_OPEN = Rule(role=None)
_PROBE = Rule(role=None, rated=False)
_READ = Rule(role=Role.READER, where=Where.QUERY, work=Work.READ)
_ASK = Rule(role=Role.READER, where=Where.BODY, work=Work.READ)
_FOLLOW = Rule(role=Role.READER, where=Where.QUERY, work=Work.STREAM)
_WRITE = Rule(role=Role.WRITER, where=Where.BODY, work=Work.WRITE)
_REMOVE = Rule(role=Role.WRITER, where=Where.QUERY, work=Work.WRITE)
_KEEP = Rule(role=Role.ADMIN, where=Where.EVERYWHERE, work=Work.ADMIN)

RULES: Mapping[tuple[str, str], Rule] = MappingProxyType(
    {
        ("GET", "/"): _OPEN,
        ("GET", "/docs"): _OPEN,
        ("GET", "/docs/swagger-ui.js"): _OPEN,
        ("GET", "/docs/swagger-ui.css"): _OPEN,
        ("GET", "/docs/icon.png"): _OPEN,
        ("GET", "/openapi.json"): _OPEN,
        ("GET", "/health"): _OPEN,
        ("GET", "/healthz"): _PROBE,
        ("GET", "/readyz"): _PROBE,
        ("GET", "/metrics"): _PROBE,
        ("POST", "/store"): _WRITE,
        ("POST", "/remember"): _WRITE,
        ("POST", "/store_bulk"): _WRITE,
        ("POST", "/recall"): _ASK,
        ("POST", "/recall_batch"): _ASK,
        ("POST", "/recall_with_scores"): _ASK,
        ("POST", "/recall_with_context"): _ASK,
        ("GET", "/range"): _READ,
        ("GET", "/memories"): _READ,
        ("GET", "/namespaces"): Rule(role=Role.READER, where=Where.LISTED, work=Work.READ),
        ("GET", "/memories/{coord}"): _READ,
        ("PUT", "/memories/{coord}"): _WRITE,
        ("PATCH", "/memories/{coord}"): _WRITE,
        ("DELETE", "/memories/{coord}"): _REMOVE,
        ("GET", "/memories/{coord}/history"): _READ,
        ("POST", "/link"): _WRITE,
        ("POST", "/unlink"): _WRITE,
        ("GET", "/neighbors"): _READ,
        ("GET", "/shortest_path"): _READ,
        ("GET", "/stats"): _READ,
        ("GET", "/events"): _FOLLOW,
        ("GET", "/events/page"): _FOLLOW,
        ("POST", "/events/replay"): Rule(role=Role.ADMIN, where=Where.LISTED, work=Work.ADMIN),
        ("POST", "/delete_many"): Rule(role=Role.ADMIN, where=Where.BODY, work=Work.WRITE),
        ("GET", "/export_memories"): Rule(role=Role.ADMIN, where=Where.LISTED, work=Work.ADMIN),
        # A file in the export folder may hold anybody's memories.
        ("POST", "/export_memories"): _KEEP,
        ("POST", "/import_memories"): Rule(role=Role.ADMIN, where=Where.LINES, work=Work.ADMIN),
        ("POST", "/rebuild"): _KEEP,
        ("POST", "/check"): _KEEP,
        ("GET", "/collections"): _KEEP,
        ("DELETE", "/collections/{name}"): _KEEP,
    }
)
"""Method and path template of every endpoint, with what it asks for."""
