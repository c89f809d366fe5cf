"""The events of a task: a stream to follow, or the list so far."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from app.domain.model.ids import TaskId
from app.entrypoints.gateway import described
from app.entrypoints.gateway.crowds import Crowd
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.gateway.event_stream import POSITION, START, EventStream, Position, position
from app.entrypoints.gateway.last_resort import HEAD
from app.entrypoints.gateway.metrics import UNTIMED, GatewayMetrics
from app.entrypoints.gateway.negotiation import EVENT_STREAM, JSON, chosen
from app.entrypoints.gateway.problems import Violation, invalid
from app.entrypoints.gateway.resources import events_page
from app.entrypoints.gateway.routes.tasks import known_id
from app.entrypoints.gateway.services import GatewayServices
from app.entrypoints.gateway.violations import IN_WORDS


class EventQuery(BaseModel):
    """Which events to send."""

    model_config = ConfigDict(extra="forbid")

    after: str | None = Field(
        None,
        pattern=POSITION,
        description="Id of the last event already known; the header `Last-Event-ID` precedes it.",
    )


def add_event_routes(
    app: FastAPI, services: GatewayServices, draining: Draining, metrics: GatewayMetrics
) -> None:
    """Serve `/v1/tasks/{task_id}/events`."""
    stream = EventStream(
        services.store, services.status.waiters, draining, services.limits.heartbeat_seconds
    )

    streams = Crowd.of_streams(services.limits.max_streams)

    @app.get("/v1/tasks/{task_id}/events", **described.EVENTS)
    async def task_events(
        request: Request,
        task_id: Annotated[str, described.TASK_ID],
        query: Annotated[EventQuery, Query()],
    ) -> Response:
        media_type = chosen(request, (EVENT_STREAM, JSON))
        after = _after(request, query)
        task = await services.status.find(known_id(task_id))
        headers = {"Cache-Control": "no-cache", "Vary": "Accept"}
        if media_type == JSON:
            page = await events_page(services.store, task.id, after)
            if page.next_after is not None:
                path = f"/v1/tasks/{task.id}/events?after={page.next_after}"
                headers["Link"] = f'<{path}>; rel="next"'
            return Response(page.json, headers=headers, media_type=JSON)
        if after != START and await stream.over(task.id, after):
            return Response(status_code=HTTPStatus.NO_CONTENT)
        if HEAD in request.scope:
            return Response(headers=headers, media_type=EVENT_STREAM)
        content = counted(task.id, after)
        answer = streams.stream(content, headers | {"X-Accel-Buffering": "no"}, EVENT_STREAM)
        request.scope[UNTIMED] = True
        return answer

    async def counted(task_id: TaskId, after: Position) -> AsyncIterator[bytes]:
        with metrics.streams.track_inprogress():
            async for chunk in stream.follow(task_id, after):
                yield chunk


def _after(request: Request, query: EventQuery) -> Position:
    """A client that reconnects repeats its URL, so the header is the newer one."""
    if last := request.headers.get("last-event-id", "").strip():
        if after := position(last):
            return after
        raise invalid([Violation(header="Last-Event-ID", detail=IN_WORDS["after"])])
    return (position(query.after) if query.after else None) or START
