"""Submit a task."""

from http import HTTPStatus

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.domain.model.errors import PlatformError, Unavailable
from app.domain.model.task import Task
from app.domain.use_cases.await_result import Listener
from app.entrypoints.gateway import described
from app.entrypoints.gateway.crowds import Crowd
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.gateway.metrics import GatewayMetrics
from app.entrypoints.gateway.negotiation import JSON, chosen
from app.entrypoints.gateway.preferences import applied, preferred_wait
from app.entrypoints.gateway.problems import Problem
from app.entrypoints.gateway.reading import idempotency_key, read_task_request
from app.entrypoints.gateway.resources import TaskResource
from app.entrypoints.gateway.routes.tasks import LOOK_AGAIN
from app.entrypoints.gateway.services import GatewayServices
from app.entrypoints.gateway.tracing import callers_traceparent


def add_submit_route(
    app: FastAPI,
    services: GatewayServices,
    draining: Draining,
    metrics: GatewayMetrics,
    waiting: Crowd,
) -> None:
    """Serve `POST /v1/tasks`."""

    @app.post("/v1/tasks", **described.SUBMIT)
    async def submit_task(request: Request) -> Response:
        seconds = preferred_wait(request, services.limits.max_wait_seconds)
        with services.status.waiters.listening() as listener:
            task = await accept(request, listener)
            if waiting.full:  # a preference may be passed over: the task is taken all the same
                seconds = None
            if seconds is not None:
                with waiting.joined():
                    task = await ended(request, task, listener, seconds)
        return _answer(services.attended(task), seconds, services.current_trace_id())

    async def accept(request: Request, listener: Listener) -> Task:
        agent = ""
        try:
            chosen(request)
            asked = await read_task_request(request, services.catalog)
            agent = services.catalog.require(asked.agent).name
            # a tracer puts the task into its own trace, which continues the caller's
            traced = services.current_trace_id() is not None
            context = None if traced else callers_traceparent(request.scope)
            task = await services.submit(
                asked, idempotency_key(request), context, announce=listener.attend
            )
        except (Problem, PlatformError) as refusal:
            metrics.refused.labels(agent, refusal.code).inc()
            raise
        metrics.accepted.labels(agent).inc()
        services.status.accepted(task)
        return task

    async def ended(request: Request, task: Task, listener: Listener, seconds: float) -> Task:
        """The task is accepted whatever happens now, so no failure may hide that."""
        try:
            waiting = services.status.result(task, listener, seconds)
            return await draining.unless(request, waiting) or task
        except Unavailable:
            return task


def _answer(task: Task, seconds: float | None, trace_id: str | None) -> Response:
    done = seconds is not None and task.state.terminal
    headers = {
        "Location": f"/v1/tasks/{task.id}",
        "Cache-Control": "no-store",
        **applied(seconds),
        **({} if done else LOOK_AGAIN),
    }
    body = TaskResource.of(task, trace_id).to_json()
    status = HTTPStatus.OK if done else HTTPStatus.ACCEPTED
    return Response(body, status, headers, media_type=JSON)
