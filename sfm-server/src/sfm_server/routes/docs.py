"""The interactive documentation, with nothing in it that comes from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)

_KEPT = {"Cache-Control": "public, max-age=86400"}


@router.get("/docs")
async def documentation(request: Request) -> HTMLResponse:
    """Show the page; what it loads is named relative to it, so that it works behind any proxy."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title=request.app.title,
        swagger_js_url="docs/swagger-ui.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/icon.png",
    )


@router.get("/docs/swagger-ui.js")
async def script() -> Response:
    """Return the script of the page."""
    return Response(_file("swagger-ui-bundle.js"), media_type="text/javascript", headers=_KEPT)


@router.get("/docs/swagger-ui.css")
async def style() -> Response:
    """Return the style of the page."""
    return Response(_file("swagger-ui.css"), media_type="text/css", headers=_KEPT)


@router.get("/docs/icon.png")
async def icon() -> Response:
    """Return the icon of the page."""
    return Response(_file("favicon-32x32.png"), media_type="image/png", headers=_KEPT)


@cache
def _file(name: str) -> bytes:
    return files("fastapi_swagger.resources").joinpath(name).read_bytes()
