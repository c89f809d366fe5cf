"""The views after their log was lost: what has ended stays, what has not begins once more."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, select, update

from app.adapters.sql.rows import command_of
from app.adapters.sql.schema import events, labels, offsets, tasks
from app.domain.model.commands import SubmitTask
from app.domain.model.lifecycle import Reason, TaskState

_UNFINISHED = tasks.c.state.in_([state.value for state in TaskState if not state.terminal])
_COMMANDED = and_(_UNFINISHED, tasks.c.command.is_not(None))
_UNHEARD_OF = and_(_UNFINISHED, tasks.c.command.is_(None))


def begin_anew(views: Connection) -> Sequence[SubmitTask]:
    """Forget offsets and unfinished runs; return the commands to submit again, oldest first."""
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
    return [command_of(command, traceparent) for command, traceparent in found]
