"""The workers there are, and what each has in hand."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.domain.use_cases.fleet import Fleet
from app.entrypoints.gateway import described
from app.entrypoints.gateway.fleet_resources import WorkerList
from app.entrypoints.gateway.negotiation import JSON, chosen


def add_worker_routes(app: FastAPI, fleet: Fleet) -> None:
    """Serve `/v1/workers`."""

    @app.get("/v1/workers", **described.WORKERS)
    async def list_workers(request: Request) -> Response:
        chosen(request)
        body = WorkerList.of(fleet).to_json()
        return Response(body, headers={"Cache-Control": "no-store"}, media_type=JSON)
