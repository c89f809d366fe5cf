"""The views after their log was lost: what has ended stays, what has not begins once more,
and where it came back from the dead letters, from there."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, func, select, update

from app.adapters.sql.rows import cancel_of, command_of, progress_of, progress_row
from app.adapters.sql.schema import cancels, events, labels, offsets, tasks
from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.events import TaskRedriven
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.task import redriven

_UNFINISHED = tasks.c.state.in_([state.value for state in TaskState if not state.terminal])
_COMMANDED = and_(_UNFINISHED, tasks.c.command.is_not(None))
_UNHEARD_OF = and_(_UNFINISHED, tasks.c.command.is_(None))
_told = events.alias("told")
_REDRIVEN = (
    select(func.max(_told.c.attempt))
    .where(_told.c.task_id == events.c.task_id, _told.c.type == TaskRedriven.TYPE)
    .scalar_subquery()
)
"""The attempt after which an event's task last came back from the dead letters."""


def begin_anew(views: Connection) -> Sequence[SubmitTask | CancelTask]:
    """Forget offsets and unfinished runs; return what to ask for again, oldest first."""
    views.execute(delete(offsets))
    unheard_of = select(tasks.c.id).where(_UNHEARD_OF)
    for table in (events, labels):
        views.execute(delete(table).where(table.c.task_id.in_(unheard_of)))
    views.execute(delete(tasks).where(_UNHEARD_OF))
    views.execute(
        delete(events).where(
            events.c.task_id.in_(select(tasks.c.id).where(_UNFINISHED)),
            events.c.attempt > func.coalesce(_REDRIVEN, 0),
        )
    )
    kept = (tasks.c.id, tasks.c.command, tasks.c.traceparent, tasks.c.progress)
    query = select(*kept).where(_COMMANDED).order_by(tasks.c.created_at, tasks.c.id)
    found = views.execute(query).all()
    views.execute(
        update(tasks)
        .where(_COMMANDED)
        .values(
            state=TaskState.SUBMITTED.value,
            reason=Reason.QUEUED.value,
            updated_at=tasks.c.created_at,
            progress=None,
            topic=None,
        )
    )
    asked: list[SubmitTask] = []
    for task_id, command, traceparent, told in found:
        past = progress_of(told).at_redrive() if told else None
        again = command_of(command, traceparent)
        if past is not None:
            again = redriven(again, past)
            row = progress_row(past, None)
            values = {"progress": row.progress, "updated_at": row.updated_at}
            views.execute(update(tasks).where(tasks.c.id == task_id).values(values))
        asked.append(again)
    return [*_cancels(views), *asked]


def _cancels(views: Connection) -> list[CancelTask]:
    """Those of tasks that begin once more; what was asked of a task nobody knows is forgotten."""
    views.execute(delete(cancels).where(cancels.c.task_id.not_in(select(tasks.c.id))))
    query = select(cancels.c.body).where(
        cancels.c.task_id.in_(select(tasks.c.id).where(_COMMANDED))
    )
    found = views.execute(query.order_by(cancels.c.at, cancels.c.task_id)).all()
    return [cancel_of(body) for (body,) in found]
