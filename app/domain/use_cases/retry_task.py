"""Run a task again that failed, was canceled or was rejected, under its own id.

Where a dead letter of it waits, that is redriven; otherwise what was asked for is sent again.
"""

import asyncio
import sys
from dataclasses import dataclass, replace
from datetime import timedelta

from app.domain.model.commands import Earlier, SubmitTask
from app.domain.model.errors import Conflict, Rejected
from app.domain.model.ids import LetterId, TaskId
from app.domain.model.letters import KnownLetter, LetterState
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.task import Task
from app.domain.use_cases.read_letters import LOOK_AGAIN, PATIENCE
from app.domain.use_cases.redrive_dead_letter import RedriveDeadLetter, last_words, reopening
from app.ports.letter_store import LetterFilter

_FRESH = timedelta(seconds=10)
"""A letter may reach the views this long after the end of its task."""
_ABOUT_THE_END = timedelta(minutes=2)
"""A letter is set aside moments before its task is told to have ended."""
_PAGE = 200
_PAGES = 25
_ENDED_BADLY = frozenset({TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED})
_WITH_A_LETTER = frozenset({Reason.DEAD_LETTERED, Reason.DEADLINE_EXCEEDED, Reason.BUDGET_EXCEEDED})


class TaskNotFailed(Conflict):
    """The task has not ended, or has ended well: there is nothing to run again."""

    code = "task-not-failed"


class InputUnknown(Rejected):
    """Only events of the task are known, so it cannot be sent again."""

    code = "input-unknown"


@dataclass(frozen=True, slots=True)
class RetryTask:
    redrive: RedriveDeadLetter
    """How its dead letter is sent again; how often that may be done is not asked of a person."""

    async def __call__(self, task_id: TaskId, by: str) -> Task:
        """Return the task as it waits for its next run, once that is durable.

        First the task is opened again, then it is sent. After a failure in between a repeat sends
        it; whoever repeats it for nothing causes no other run. Raise `TaskNotFailed`
        or `InputUnknown` before anything is done.
        """
        async with self.redrive.letters.recent.alone(LetterId(task_id)):
            task = await self.redrive.status.find(task_id)
            if task is None:
                raise TaskNotFailed(f"task {task_id} has not ended, as far as the views have read")
            if not _may_run_again(task):
                raise TaskNotFailed(
                    f"task {task_id} is {task.state}; what failed, was canceled or was rejected "
                    "can be run again"
                )
            letter = await self._letter(task)
            command = await self.redrive.status.command(task_id)
            if letter is not None and not self._anew(letter, command):
                await replace(self.redrive, limit=sys.maxsize)(letter.id, by)
            elif command is None:
                raise InputUnknown(f"what task {task_id} was asked is not known: submit it anew")
            else:
                await self._send(task, command)
                if letter is not None:
                    await self.redrive.settle(letter.letter, by, task_id)
            return await self._seen(task)

    def _anew(self, letter: KnownLetter, command: SubmitTask | None) -> bool:
        """Whether what was asked is sent rather than the letter's message, which would not run."""
        if command is None or letter.letter.origin.value is None:
            return command is not None
        return command.expires_at is not None and command.expires_at <= self.redrive.clock.now()

    async def _letter(self, task: Task) -> KnownLetter | None:
        """The letter of its last run, if it waits."""
        if task.finished_at is None or task.reason not in _WITH_A_LETTER:
            return None
        fresh = abs(self.redrive.clock.now() - task.finished_at) < _FRESH
        give_up = asyncio.get_running_loop().time() + (PATIENCE if fresh else 0)
        while (found := await self._find(task)) is None:
            if asyncio.get_running_loop().time() >= give_up:
                return None
            await asyncio.sleep(LOOK_AGAIN)
        known = await self.redrive.letters.find(found.id)
        return known if known.state is LetterState.WAITING else None

    async def _find(self, task: Task) -> KnownLetter | None:
        if task.finished_at is None:
            return None
        wanted = LetterFilter(
            agent=task.agent,
            since=task.finished_at - _ABOUT_THE_END,
            until=task.finished_at + _ABOUT_THE_END,
        )
        cursor = None
        for _ in range(_PAGES):
            page = await self.redrive.letters.list(wanted, _PAGE, cursor)
            for known in page.items:
                if known.letter.task_id == task.id and known.letter.attempts == task.attempt:
                    return known
            cursor = page.next_cursor
            if cursor is None:
                break
        return None

    async def _send(self, task: Task, command: SubmitTask) -> None:
        now = self.redrive.clock.now()
        times = sum(each.ended for each in task.attempts)
        """More than before: each time it came back, it had ended once more."""
        if task.state.terminal:
            behind = task.attempt, max(0, task.sequence - 2)
            told = await last_words(self.redrive.status, task.id, behind)
            opened = reopening(task, task.attempt, told, times=times, at=now)
            await self.redrive.log.publish(
                opened.model_copy(update={"traceparent": command.traceparent})
            )
        late = command.expires_at is not None and command.expires_at <= now
        again = {
            "earlier": Earlier(task.attempt, 0, times, now),
            "expires_at": None if late else command.expires_at,
        }
        await self.redrive.log.publish(command.model_copy(update=again))

    async def _seen(self, before: Task) -> Task:
        """The task as the views show it once they know, or after a moment as it must be."""
        give_up = asyncio.get_running_loop().time() + PATIENCE
        while True:
            task = await self.redrive.status.find(before.id) or before
            if not task.state.terminal or task.attempt > before.attempt:
                return task
            if asyncio.get_running_loop().time() >= give_up:
                break
            await asyncio.sleep(LOOK_AGAIN)
        waits = {
            "state": TaskState.SUBMITTED,
            "reason": Reason.QUEUED,
            "status_message": None,
            "result": None,
            "error": None,
            "finished_at": None,
        }
        return task.model_copy(update=waits)


def _may_run_again(task: Task) -> bool:
    """Also one that was opened again and may not have been sent: its last run is an old one."""
    if task.state.terminal:
        return task.state in _ENDED_BADLY
    waits = task.state is TaskState.SUBMITTED and task.reason is Reason.QUEUED
    return waits and any(each.ended for each in task.attempts if each.number == task.attempt)
