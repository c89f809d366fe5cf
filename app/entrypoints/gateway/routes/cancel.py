"""Cancel a task."""

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.entrypoints.gateway import described
from app.entrypoints.gateway.negotiation import JSON, chosen
from app.entrypoints.gateway.reading import read_cancel_request
from app.entrypoints.gateway.resources import TaskResource
from app.entrypoints.gateway.routes.tasks import LOOK_AGAIN, known_id
from app.entrypoints.gateway.services import GatewayServices
from app.entrypoints.gateway.tracing import callers_traceparent


def add_cancel_route(app: FastAPI, services: GatewayServices) -> None:
    """Serve `POST /v1/tasks/{task_id}/cancel`."""

    @app.post("/v1/tasks/{task_id}/cancel", **described.CANCEL)
    async def cancel_task(request: Request, task_id: Annotated[str, described.TASK_ID]) -> Response:
        chosen(request)
        asked = await read_cancel_request(request)
        traced = services.current_trace_id() is not None
        context = None if traced else callers_traceparent(request.scope)
        task = await services.cancel(known_id(task_id), asked.reason, context)
        body = TaskResource.of(task).to_json()
        headers = {"Cache-Control": "no-store", **LOOK_AGAIN}
        return Response(body, HTTPStatus.ACCEPTED, headers, media_type=JSON)
