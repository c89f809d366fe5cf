"""Views under test, and what a projector would save into them."""

from collections.abc import Sequence
from typing import NamedTuple

from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.events import Event, ResultEvent
from app.domain.model.ids import TaskId
from app.domain.model.messages import Message
from app.domain.model.progress import Progress, fold
from app.domain.model.task import Task
from app.ports.event_log import Offsets, Shard
from app.ports.status_store import (
    Page,
    StatusStore,
    ViewStore,
    ViewUpdate,
)

COMMANDS = Shard("crewline.commands.business-analyst", 0)
RESULTS = Shard("crewline.results", 3)
TRACES = Shard("crewline.traces", 3)


class Views(NamedTuple):
    """The two sides of one set of views."""

    store: StatusStore
    writer: ViewStore


def update(
    *messages: Message, before: Offsets | None = None, after: Offsets | None = None
) -> ViewUpdate:
    """What a projector would save that has heard nothing but these messages, in this order."""
    progress: dict[TaskId, Progress] = {}
    for offset, message in enumerate(messages):
        if isinstance(message, ResultEvent):
            known = progress.get(message.task_id)
            progress[message.task_id] = fold(known, message, offset)
    return ViewUpdate(
        commands=[message for message in messages if isinstance(message, SubmitTask)],
        progress=progress,
        events=[message for message in messages if isinstance(message, Event)],
        before=before or {},
        after=after or {},
        cancels=[message for message in messages if isinstance(message, CancelTask)],
    )


async def found(views: Views, wanted: TaskId) -> Task:
    task = await views.store.find(wanted)
    assert task is not None
    return task


def ids(page: Page) -> Sequence[TaskId]:
    return [task.id for task in page.items]
