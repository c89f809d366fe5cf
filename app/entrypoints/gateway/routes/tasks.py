"""Tasks as they stand: read one, or list many."""

from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from app.domain.model.commands import MOST_LABELS
from app.domain.model.errors import InvalidInput, UnknownTask
from app.domain.model.ids import AgentNameField, ContextIdField, TaskId, as_task_id
from app.domain.model.lifecycle import TaskState
from app.domain.model.messages import WrittenTime
from app.domain.model.paging import CURSOR
from app.entrypoints.gateway import described
from app.entrypoints.gateway.conditional import conditional
from app.entrypoints.gateway.crowds import Crowd
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.gateway.negotiation import JSON, chosen
from app.entrypoints.gateway.preferences import applied, preferred_wait
from app.entrypoints.gateway.problems import Violation, invalid
from app.entrypoints.gateway.resources import TaskList, TaskResource
from app.entrypoints.gateway.services import GatewayServices
from app.ports.status_store import TaskFilter

LOOK_AGAIN = {"Retry-After": "1"}
"""Seconds after which asking again makes sense while a task runs."""


_STATES = [state.value for state in TaskState]
STATES = rf"^({'|'.join(_STATES)})(,({'|'.join(_STATES)}))*$"
"""How `state` looks."""
_MOST_SAID = 20


class TaskQuery(BaseModel):
    """Which tasks to list."""

    model_config = ConfigDict(extra="forbid")

    state: list[str] = Field(
        default=[],
        description="Any of these: may be repeated, or name several, separated by commas.",
        json_schema_extra={"items": {"type": "string", "pattern": STATES}},
    )
    agent: AgentNameField | None = None
    context_id: ContextIdField | None = None
    label: list[Annotated[str, StringConstraints(pattern=r"^[^:]+:.*$")]] = Field(
        default=[],
        max_length=MOST_LABELS,
        description="`key:value`; may be repeated, and then all must fit.",
    )
    created_after: WrittenTime | None = Field(None, description="Handed in later than this.")
    created_before: WrittenTime | None = Field(None, description="Handed in earlier than this.")
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = Field(
        None, pattern=CURSOR, description="`next_cursor` of the page before."
    )

    def wanted(self) -> TaskFilter:
        """Raise a 422 `Problem` for a label that is to have two values, which no task can meet."""
        labels: dict[str, str] = {}
        for label in self.label:
            name, _, value = label.partition(":")
            if labels.setdefault(name, value) != value:
                detail = f"{name!r} cannot have two values; no task would fit"
                raise invalid([Violation(parameter="label", detail=detail)])
        return TaskFilter(
            self._states(),
            self.agent,
            self.context_id,
            labels,
            self.created_after,
            self.created_before,
        )

    def _states(self) -> list[TaskState]:
        names = [name.strip() for each in self.state for name in each.split(",")]
        wrong = [name for name in names if name not in _STATES]
        if wrong:
            said = ", ".join(map(repr, _STATES))
            raise invalid(
                [
                    Violation(parameter="state", detail=f"{name[:100]!r} is none of: {said}")
                    for name in wrong[:_MOST_SAID]
                ]
            )
        return [TaskState(name) for name in dict.fromkeys(names)]


def add_task_routes(
    app: FastAPI, services: GatewayServices, draining: Draining, waiting: Crowd
) -> None:
    """Serve `GET` of `/v1/tasks` and `/v1/tasks/{task_id}`."""

    @app.get("/v1/tasks/{task_id}", **described.READ)
    async def read_task(request: Request, task_id: Annotated[str, described.TASK_ID]) -> Response:
        chosen(request)
        known = known_id(task_id)
        seconds = preferred_wait(request, services.limits.max_wait_seconds)
        task = None
        if seconds is not None:
            waiting.refuse_more()
            with waiting.joined():
                task = await draining.unless(request, services.status.wait(known, seconds))
        if task is None:
            task = await services.status.find(known)
        headers = {"Vary": "Accept, Prefer", **applied(seconds)}
        if not task.state.terminal:
            headers |= LOOK_AGAIN
        return conditional(request, TaskResource.of(services.attended(task)).to_json(), headers)

    @app.get("/v1/tasks", **described.LIST)
    async def list_tasks(request: Request, query: Annotated[TaskQuery, Query()]) -> Response:
        chosen(request)
        try:
            page = await services.store.list(query.wanted(), query.limit, query.cursor)
        except InvalidInput as error:
            detail = error.message.removeprefix("cursor: ")
            raise invalid([Violation(parameter="cursor", detail=detail)]) from error
        headers = {"Cache-Control": "no-cache"}
        if page.next_cursor is not None:
            asked = [each for each in request.query_params.multi_items() if each[0] != "cursor"]
            following = urlencode([*asked, ("cursor", page.next_cursor)])
            headers["Link"] = f'</v1/tasks?{following}>; rel="next"'
        shown = replace(page, items=[services.attended(task) for task in page.items])
        return Response(TaskList.of(shown).to_json(), headers=headers, media_type=JSON)


def known_id(text: str) -> TaskId:
    """The task id in a path; a text that can be none names no task, so it is unknown as well."""
    task_id = as_task_id(text)
    if task_id is None:
        raise UnknownTask(f"{text[:100]!r} is no task id: those are UUIDs")
    return task_id
