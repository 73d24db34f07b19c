"""Endpoints about the service itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from sfm_core import errors
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.report import Health
from sfm_core.registry import PortName
from sfm_server import wire
from sfm_server.access.roles import ANYONE
from sfm_server.access.visit import visit_of
from sfm_server.auth import may_see_details
from sfm_server.context import JsonAnswer, NamedContext, engine_of
from sfm_server.encryption.watching import GivenKeys
from sfm_server.metrics import CONTENT_TYPE, Metrics
from sfm_server.routes.documented import failures
from sfm_server.schemas.system import (
    AliveAnswer,
    HealthAnswer,
    PortAnswer,
    ReadyAnswer,
    ServiceAnswer,
    StatsAnswer,
)
from sfm_server.settings import Settings

router = APIRouter(tags=["system"])

VERSION = version("somafractalmemory-server")


@router.get("/", response_model=ServiceAnswer)
async def service(request: Request) -> JsonAnswer:
    """Say what this service is."""
    settings: Settings = request.app.state.settings
    return JsonAnswer(
        ServiceAnswer(
            name="SomaFractalMemory",
            version=VERSION,
            mode=settings.memory_mode,
            docs="/docs",
            openapi="/openapi.json",
        )
    )


@router.get("/stats", response_model=StatsAnswer, responses=failures())
async def stats(context: NamedContext) -> JsonAnswer:
    """Count the memories and links of a namespace."""
    namespace = context.fallback
    counted = await context.engine.stats(namespace)
    seen = (context.visit.caller or ANYONE).seen(await context.engine.namespaces())
    return JsonAnswer(wire.stats(namespace, counted, seen))


@router.get(
    "/health",
    response_model=HealthAnswer,
    responses={503: {"model": HealthAnswer, "description": "A backend does not answer."}},
)
async def health(request: Request) -> JsonAnswer:
    """Ask every backend how it does; status 503 when one does not answer."""
    found = wire.health(await engine_of(request).health())
    found = _troubled(found, await _trouble(request))
    if not may_see_details(request.scope):
        brief = {name: _brief(port) for name, port in found.ports.items()}
        found = replace(found, ports=brief, collections=[])
    return JsonAnswer(found, status_code=200 if found.ok else 503)


@router.get("/healthz", response_model=AliveAnswer)
async def alive() -> JsonAnswer:
    """Answer, without asking any backend: the process lives."""
    return JsonAnswer(AliveAnswer())


@router.get("/readyz", response_model=ReadyAnswer, responses=failures())
async def ready(request: Request) -> JsonAnswer:
    """Tell whether requests can be served now: the truth answers, the others may be down."""
    found = await engine_of(request).health()
    down = [name for name, port in found.ports.items() if not port.ok]
    _need_truth(found, down)
    quarantined: list[str] = request.app.state.quarantined
    hint = found.hint or await _trouble(request)
    status: Literal["ok", "degraded"] = "degraded" if down or hint or quarantined else "ok"
    return JsonAnswer(ReadyAnswer(status=status, down=down, hint=hint, quarantined=quarantined))


@router.get("/metrics", response_class=Response)
async def show_metrics(request: Request) -> Response:
    """Return figures for Prometheus."""
    metrics: Metrics = request.app.state.metrics
    engine: MemoryEngine | None = request.app.state.engine
    if engine is not None:
        await metrics.engine.look(engine)
    return Response(metrics.render(), media_type=CONTENT_TYPE)


def _brief(port: PortAnswer) -> PortAnswer:
    """Leave out the messages, which may name hosts and folders."""
    return replace(port, error="the log says why" if port.error else "", superseded_by="")


async def _trouble(request: Request) -> str:
    """Tell what is wrong with where tokens and keys come from."""
    troubles = [visit_of(request.scope).authority.trouble]
    keys: GivenKeys | None = request.app.state.keys
    if keys is not None:
        await keys.fresh()
        troubles.append(keys.trouble)
    return " ".join(filter(None, troubles))


def _troubled(found: HealthAnswer, trouble: str) -> HealthAnswer:
    """Say too what is wrong beside the backends."""
    if not trouble:
        return found
    status = "degraded" if found.status == "ok" else found.status
    return replace(found, status=status, hint=" ".join(filter(None, (found.hint, trouble))))


def _need_truth(health: Health, down: Sequence[str]) -> None:
    truth = health.ports[PortName.KV]
    if not truth.ok:
        raise errors.BackendUnavailableError(
            "The service is unusable, because the truth does not answer; the log says why. "
            f"Down: {', '.join(down)}.",
            backend=truth.scheme,
        )
