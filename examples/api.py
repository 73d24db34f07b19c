# ruff: noqa: INP001 - a program, not part of a package
"""A server of one's own, with the memory's API and a route beside it.

    uvicorn examples.api:app --port 9595

Where `sfm serve` reads the environment, this program decides itself. Were tokens needed, a
route without a rule would be refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from sfm_server.access.roles import Role
from sfm_server.access.rules import Rule, Where
from sfm_server.app import create_app
from sfm_server.context import engine_of
from sfm_server.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What can be chosen about this program; `memory` is what the server itself takes."""

    greeting: str
    memory: Settings


agent = AgentSettings(
    greeting="I remember",
    memory=Settings(data_folder=Path("agent-memory"), namespace="agent"),
)
rules = {("GET", "/hello"): Rule(role=Role.READER, where=Where.NOWHERE)}
app = create_app(agent.memory, rules=rules)


@app.get("/hello")
async def hello(request: Request) -> dict[str, str]:
    """Greet, and say how much is remembered; the engine is at hand in every route."""
    stats = await engine_of(request).stats(agent.memory.namespace)
    return {"message": f"{agent.greeting} {stats.total_memories} things."}
