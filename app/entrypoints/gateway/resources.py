"""The bodies the gateway answers with, as they are sent and as OpenAPI describes them.

They are built from what is valid already, so nothing is validated on the way out.
"""

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.domain.model.agents import Agent
from app.domain.model.events import Event
from app.domain.model.ids import TaskId
from app.domain.model.task import Task, TaskSummary
from app.ports.status_store import Page, StatusStore

_PAGE_BYTES, _PAGE_EVENTS = 1_000_000, 1_000


class Resource(BaseModel):
    """A body; its names on the wire are its aliases."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True).encode()


class Links(Resource):
    """Where a resource stands."""

    itself: str = Field(serialization_alias="self")


class TaskLinks(Links):
    """Where to go on from a task."""

    events: str


class TaskResource(Task, Resource):
    """A task, and where to go on from it."""

    model_config = ConfigDict(title="Task")

    links: TaskLinks

    @classmethod
    def of(cls, task: Task, trace_id: str | None = None) -> "TaskResource":
        """The resource of a task; `trace_id` is for one that has none yet."""
        path = f"/v1/tasks/{task.id}"
        links = TaskLinks.model_construct(itself=path, events=f"{path}/events")
        fields = {**task.__dict__, "trace_id": task.trace_id or trace_id}
        return cls.model_construct(**fields, links=links)


class ListedTask(TaskSummary, Resource):
    """A task in a list: without its `input`, `parameters` and `result`, which its own path gives.

    Texts of more than 1,000 characters are cut, and the latest 20 of its attempts are shown.
    """

    links: TaskLinks

    @classmethod
    def of(cls, task: TaskSummary) -> "ListedTask":
        path = f"/v1/tasks/{task.id}"
        links = TaskLinks.model_construct(itself=path, events=f"{path}/events")
        return cls.model_construct(**task.__dict__, links=links)


class TaskList(Resource):
    """One page of tasks, newest first."""

    items: list[ListedTask]
    next_cursor: str | None = Field(description="Where the next page begins; null on the last.")

    @classmethod
    def of(cls, page: Page) -> "TaskList":
        items = [ListedTask.of(task) for task in page.items]
        return cls.model_construct(items=items, next_cursor=page.next_cursor)


class AgentResource(Resource):
    """What an agent can do, what it takes and what it gives."""

    model_config = ConfigDict(title="Agent")

    name: str
    description: str
    capabilities: tuple[str, ...]
    input_schema: dict[str, JsonValue]
    output_schema: dict[str, JsonValue]
    runtimes: tuple[str, ...] = Field(description="The ways it can be run, for `runtime`.")
    live_workers: int = Field(description="How many workers can run its tasks now.")
    links: Links

    @classmethod
    def of(cls, agent: Agent, live_workers: int) -> "AgentResource":
        spec = agent.spec
        return cls(
            name=spec.name,
            description=spec.description,
            capabilities=spec.capabilities,
            input_schema=spec.input_schema,
            output_schema=spec.output_schema,
            runtimes=tuple(spec.runtimes),
            live_workers=live_workers,
            links=Links(itself=f"/v1/agents/{spec.name}"),
        )


class AgentList(Resource):
    """Every agent there is, by name."""

    items: list[AgentResource]


class EventResource(Event):
    """One event; beside these fields it has those of its type, which `/schemas/{type}` gives."""

    model_config = ConfigDict(title="Event")

    id: str = Field(description="`<attempt>.<sequence>`: where to resume a stream.")
    type: str = Field(examples=["task.started.v1"])


class EventList(Resource):
    """A task's events so far, in order: about a megabyte or a thousand of them."""

    items: list[EventResource]
    next_after: str | None = Field(
        description="Ask for what follows with `after=`; null where nothing does so far."
    )


class Health(Resource):
    """That the process lives; it asks nobody else."""

    status: Literal["healthy"] = "healthy"
    version: str


class Readiness(Resource):
    """That everything the gateway needs answers."""

    status: Literal["ready"] = "ready"
    checks: dict[str, Literal["ok"]]


def event_id(event: Event) -> str:
    """Where an event stands in its task's stream."""
    return f"{event.attempt}.{event.sequence}"


def event_json(event: Event) -> str:
    """An event with its id and type, in one line."""
    fields = event.model_dump_json(by_alias=True, exclude={"id", "type"})
    return f'{{"id":"{event_id(event)}","type":"{event.TYPE}",{fields[1:]}'


class EventsPage(NamedTuple):
    """The body of an `EventList`, and what of it the headers repeat."""

    json: bytes
    next_after: str | None


async def events_page(store: StatusStore, task_id: TaskId, after: tuple[int, int]) -> EventsPage:
    """The events behind a place, up to a megabyte or a thousand of them."""
    texts: list[str] = []
    size, last = 0, None
    while told := await store.events(task_id, after):
        if size >= _PAGE_BYTES or len(texts) >= _PAGE_EVENTS:
            break
        texts += map(event_json, told)
        size = sum(map(len, texts))
        after, last = (told[-1].attempt, told[-1].sequence), event_id(told[-1])
    next_after = last if told else None
    following = "null" if next_after is None else f'"{next_after}"'
    body = f'{{"items":[{",".join(texts)}],"next_after":{following}}}'
    return EventsPage(body.encode(), next_after)
