"""Builds the application behind the admin port."""

import secrets
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.entrypoints.admin.health import OK, Health
from app.entrypoints.gateway.problems import Problem

_FRESH = {"Cache-Control": "no-store"}


def create_app(health: Health, registry: CollectorRegistry, version: str) -> Starlette:
    """`/livez`, `/readyz` and `/metrics`, answered as the gateway answers them."""

    async def live(request: Request) -> Response:
        if reason := health.dead():
            return _refusal(request, "not-alive", {"process": reason})
        return JSONResponse({"status": "healthy", "version": version}, headers=_FRESH)

    async def ready(request: Request) -> Response:
        checks = await health.found()
        if any(said != OK for said in checks.values()):
            return _refusal(request, "not-ready", checks)
        return JSONResponse({"status": "ready", "checks": checks}, headers=_FRESH)

    async def metrics(request: Request) -> Response:
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={**_FRESH, "Content-Type": media_type})

    routes = {"/livez": live, "/readyz": ready, "/metrics": metrics}
    return Starlette(routes=[Route(path, endpoint) for path, endpoint in routes.items()])


def _refusal(request: Request, code: str, checks: dict[str, str]) -> Response:
    detail = "; ".join(f"{name}: {reason}" for name, reason in checks.items() if reason != OK)
    status = HTTPStatus.SERVICE_UNAVAILABLE
    problem = Problem(status, code, detail, retryable=True, checks=checks)
    return problem.response(request.url.path, secrets.token_hex(16))
