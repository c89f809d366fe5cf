"""What those ask who run the gateway: does it live, is it ready, what has it done."""

import asyncio
from http import HTTPStatus

from fastapi import FastAPI
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from app.domain.model.errors import Unavailable
from app.entrypoints.gateway import described
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.gateway.negotiation import JSON
from app.entrypoints.gateway.problems import Problem
from app.entrypoints.gateway.resources import Health, Readiness
from app.entrypoints.gateway.services import Check, GatewayServices

_FRESH = {"Cache-Control": "no-store"}


def add_operation_routes(app: FastAPI, services: GatewayServices, draining: Draining) -> None:
    """Serve `/health`, `/livez`, `/readyz` and `/metrics`."""
    healthy = Health(version=services.version).to_json()

    @app.get("/health", **described.HEALTH)
    @app.get("/livez", **described.LIVE)
    async def live() -> Response:
        return Response(healthy, headers=_FRESH, media_type=JSON)

    @app.get("/readyz", **described.READY)
    async def ready() -> Response:
        if draining.announced:
            raise _not_ready("the gateway is shutting down", {})
        checks = services.readiness
        limit = services.limits.readiness_seconds
        said = await asyncio.gather(*(_ask(check, limit) for check in checks.values()))
        found = {name: answer or "ok" for name, answer in zip(checks, said, strict=True)}
        failing = [f"{name}: {answer}" for name, answer in found.items() if answer != "ok"]
        if failing:
            raise _not_ready("; ".join(failing), found)
        body = Readiness(checks=dict.fromkeys(found, "ok"))
        return Response(body.to_json(), headers=_FRESH, media_type=JSON)

    @app.get("/metrics", **described.METRICS)
    async def metrics(request: Request) -> Response:
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(services.metrics), headers={**_FRESH, "Content-Type": media_type})


async def _ask(check: Check, seconds: float) -> str | None:
    """What is wrong, or None."""
    try:
        async with asyncio.timeout(seconds):
            await check()
    except TimeoutError:
        return f"no answer within {seconds:g} seconds"
    except Unavailable as error:
        return error.message
    return None


def _not_ready(detail: str, checks: dict[str, str]) -> Problem:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers = {"Retry-After": "1"}
    return Problem(status, "not-ready", detail, retryable=True, headers=headers, checks=checks)
