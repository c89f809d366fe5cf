"""The views after their log was lost: what has ended stays, what has not begins once more."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, select, update

from app.adapters.sql.rows import cancel_of, command_of
from app.adapters.sql.schema import cancels, events, labels, offsets, tasks
from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.lifecycle import Reason, TaskState

_UNFINISHED = tasks.c.state.in_([state.value for state in TaskState if not state.terminal])
_COMMANDED = and_(_UNFINISHED, tasks.c.command.is_not(None))
_UNHEARD_OF = and_(_UNFINISHED, tasks.c.command.is_(None))


def begin_anew(views: Connection) -> Sequence[SubmitTask | CancelTask]:
    """Forget offsets and unfinished runs; return what to ask for again, oldest first."""
    views.execute(delete(offsets))
    for table in (events, labels):
        gone = _UNFINISHED if table is events else _UNHEARD_OF
        views.execute(delete(table).where(table.c.task_id.in_(select(tasks.c.id).where(gone))))
    views.execute(delete(tasks).where(_UNHEARD_OF))
    commands = select(tasks.c.command, tasks.c.traceparent).where(_COMMANDED)
    found = views.execute(commands.order_by(tasks.c.created_at, tasks.c.id)).all()
    views.execute(
        update(tasks)
        .where(_COMMANDED)
        .values(
            state=TaskState.SUBMITTED.value,
            reason=Reason.QUEUED.value,
            updated_at=tasks.c.created_at,
            progress=None,
        )
    )
    return [
        *_cancels(views),
        *(command_of(command, traceparent) for command, traceparent in found),
    ]


def _cancels(views: Connection) -> list[CancelTask]:
    """Those of tasks that begin once more; what was asked of a task nobody knows is forgotten."""
    views.execute(delete(cancels).where(cancels.c.task_id.not_in(select(tasks.c.id))))
    query = select(cancels.c.body).where(
        cancels.c.task_id.in_(select(tasks.c.id).where(_COMMANDED))
    )
    found = views.execute(query.order_by(cancels.c.at, cancels.c.task_id)).all()
    return [cancel_of(body) for (body,) in found]
