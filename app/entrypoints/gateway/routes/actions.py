"""Cancel a task, or run it again."""

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.entrypoints.gateway import described
from app.entrypoints.gateway.letter_requests import RetryRequest
from app.entrypoints.gateway.negotiation import JSON, chosen
from app.entrypoints.gateway.reading import read_cancel_request, read_optional
from app.entrypoints.gateway.resources import TaskResource
from app.entrypoints.gateway.routes.tasks import LOOK_AGAIN, known_id
from app.entrypoints.gateway.services import GatewayServices
from app.entrypoints.gateway.tracing import callers_traceparent


def add_action_routes(app: FastAPI, services: GatewayServices) -> None:
    """Serve `POST` of `/v1/tasks/{task_id}/cancel` and `/retry`."""

    @app.post("/v1/tasks/{task_id}/cancel", **described.CANCEL)
    async def cancel_task(request: Request, task_id: Annotated[str, described.TASK_ID]) -> Response:
        chosen(request)
        asked = await read_cancel_request(request)
        traced = services.current_trace_id() is not None
        context = None if traced else callers_traceparent(request.scope)
        task = await services.cancel(known_id(task_id), asked.reason, context)
        body = TaskResource.of(services.attended(task)).to_json()
        headers = {"Cache-Control": "no-store", **LOOK_AGAIN}
        return Response(body, HTTPStatus.ACCEPTED, headers, media_type=JSON)

    @app.post("/v1/tasks/{task_id}/retry", **described.RETRY)
    async def retry_task(request: Request, task_id: Annotated[str, described.TASK_ID]) -> Response:
        chosen(request)
        asked = await read_optional(request, RetryRequest)
        found = await services.status.find(known_id(task_id))
        task = await services.letters.retry(found.id, asked.by)
        headers = {"Cache-Control": "no-store", **LOOK_AGAIN}
        body = TaskResource.of(services.attended(task)).to_json()
        return Response(body, HTTPStatus.ACCEPTED, headers, media_type=JSON)
