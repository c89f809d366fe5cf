"""Builds the gateway: HTTP in, command out."""

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from app.entrypoints.gateway.body_limit import BodyLimit
from app.entrypoints.gateway.crowds import Crowd
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.gateway.fleet_metrics import FleetCollector
from app.entrypoints.gateway.last_resort import LastResort
from app.entrypoints.gateway.metrics import GatewayMetrics, Metered
from app.entrypoints.gateway.openapi import DESCRIPTION, completed
from app.entrypoints.gateway.problem_handlers import answer_with_problems
from app.entrypoints.gateway.query import unambiguous
from app.entrypoints.gateway.request_guard import RequestGuard
from app.entrypoints.gateway.routes.actions import add_action_routes
from app.entrypoints.gateway.routes.agents import add_agent_routes
from app.entrypoints.gateway.routes.contract import add_contract_routes
from app.entrypoints.gateway.routes.dead_letters import add_dead_letter_routes
from app.entrypoints.gateway.routes.events import add_event_routes
from app.entrypoints.gateway.routes.operations import add_operation_routes
from app.entrypoints.gateway.routes.redrive import add_redrive_routes
from app.entrypoints.gateway.routes.submit import add_submit_route
from app.entrypoints.gateway.routes.tasks import add_task_routes
from app.entrypoints.gateway.routes.workers import add_worker_routes
from app.entrypoints.gateway.services import GatewayServices

_READABLE = ("Location", "Retry-After", "ETag", "Link", "Preference-Applied", "Allow", "RateLimit")
"""Answer headers that pages of other origins may read."""


def create_app(services: GatewayServices, draining: Draining | None = None) -> FastAPI:
    """The gateway as an ASGI application; whoever serves it begins `draining` before it stops."""
    draining = draining or Draining()
    metrics = GatewayMetrics(services.metrics)
    if services.submit.admission is not None:
        metrics.watch(services.submit.admission, services.catalog)
    FleetCollector(services.fleet, services.metrics)
    pages = (
        {"static_url": "/docs/assets"} if services.docs else {"docs_url": None, "redoc_url": None}
    )
    app = (FastAPIOffline if services.docs else FastAPI)(
        **pages,
        title="Crewline",
        summary="Event-driven AI agent workers on Kafka",
        description=DESCRIPTION,
        version=services.version,
        redirect_slashes=False,
        dependencies=[Depends(unambiguous)],
        middleware=[
            *_cors(services.cors_origins),
            Middleware(LastResort, services=services, draining=draining),
            Middleware(Metered, metrics=metrics),
            Middleware(RequestGuard, services=services),
            Middleware(BodyLimit, max_bytes=services.limits.max_body_bytes),
        ],
    )
    answer_with_problems(app, services)
    waiting = Crowd.of_waiting(services.limits.max_waiting)
    add_submit_route(app, services, draining, metrics, waiting)
    add_task_routes(app, services, draining, waiting)
    add_action_routes(app, services)
    add_event_routes(app, services, draining, metrics)
    add_dead_letter_routes(app, services)
    add_redrive_routes(app, services, draining, metrics)
    add_agent_routes(app, services.catalog, services.fleet)
    add_worker_routes(app, services.fleet)
    add_operation_routes(app, services, draining)
    add_contract_routes(app, services.contract)
    app.openapi = completed(app.openapi)  # type: ignore[method-assign]
    return app


def _cors(origins: tuple[str, ...]) -> list[Middleware]:
    if not origins:
        return []
    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=_READABLE,
    )
    return [cors]
