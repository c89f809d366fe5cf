"""Send a dead letter's message again, and open its task for another attempt."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from app.domain.model.agents import AgentCatalog
from app.domain.model.commands import Earlier
from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
from app.domain.model.errors import Conflict, Rejected
from app.domain.model.events import Event, TaskRedriven
from app.domain.model.ids import LetterId, TaskId, WorkerId
from app.domain.model.letters import KnownLetter, LetterRedriven
from app.domain.model.lifecycle import TaskState
from app.domain.model.messages import trace_id_of
from app.domain.model.task import Task
from app.domain.use_cases.edit_letter import edited_command
from app.domain.use_cases.read_letters import LOOK_AGAIN, PATIENCE, ReadLetters
from app.ports.clock import Clock
from app.ports.event_log import EventLog
from app.ports.redelivery import Redelivery, Resent
from app.ports.status_store import StatusStore

GATEWAY = WorkerId("gateway")
_FRESH = timedelta(seconds=10)
"""A letter is set aside moments before its task is told to have ended."""
_DEAD = frozenset({TaskState.FAILED, TaskState.REJECTED})


class RedriveLimit(Conflict):
    """The message has come back from the dead letters as often as it may."""

    code = "redrive-limit"


class TaskNotDead(Conflict):
    """The letter is not what ended its task."""

    code = "task-not-dead"


class ValueOmitted(Rejected):
    """The message was too large to be kept, so it cannot be sent again as it was."""

    code = "value-omitted"


@dataclass(frozen=True, slots=True)
class RedriveDeadLetter:
    letters: ReadLetters
    status: StatusStore
    log: EventLog
    redelivery: Redelivery
    catalog: AgentCatalog
    clock: Clock
    limit: int = 3
    """How often one message may come back."""

    async def __call__(
        self, letter_id: LetterId, by: str, value: Mapping[str, JsonValue] | None = None
    ) -> KnownLetter:
        """Return the letter as it stands once its message, or `value` instead, is durable.

        First the task is opened again, then the message is sent, then the letter is settled. Each
        step finds out whether it was done before: after a failure anywhere a repeat completes it.
        Raise `UnknownDeadLetter`, `LetterSettled`, `RedriveLimit`, `TaskNotDead`, `ValueOmitted`,
        and what `edited_command` raises, before anything is done.
        """
        async with self.letters.recent.alone(letter_id):
            letter = (await self.letters.waiting(letter_id)).letter
            self._refuse(letter)
            if value is None and letter.origin.value is None:
                raise ValueOmitted("its value was too large to be kept: redrive it with a value")
            edited = None if value is None else await edited_command(letter, value, self.catalog)
            task_id = edited.id if edited else letter.task_id
            task = await self._ended(letter)
            told = await self._last_words(task, letter) if task else ()
            trace, now = _trace(letter, told), self.clock.now()
            if task is not None and task.state.terminal and task.attempt <= letter.attempts:
                times = letter.redrives + 1
                opened = reopening(task, letter.attempts, told, times=times, at=now)
                await self.log.publish(opened.model_copy(update={"traceparent": trace}))
            if task is None or task.attempt <= letter.attempts:
                earlier = Earlier(letter.attempts, 0, letter.redrives + 1, now)
                resent = Resent(task_id, earlier, trace, edited)
                await self.redelivery.send(letter.origin, resent)
            return await self.settle(letter, by, task_id, edited=edited is not None)

    def _refuse(self, letter: DeadLetter) -> None:
        if letter.redrives >= self.limit:
            raise RedriveLimit(
                f"the message was redriven {letter.redrives} times; {self.limit} are the most"
            )

    async def _ended(self, letter: DeadLetter) -> Task | None:
        """The task as it stands after the attempt this letter ended; None where there is none.

        Raise `TaskNotDead` where the letter ended no attempt of it.
        """
        if letter.task_id is None or letter.agent is None:
            return None
        fresh = abs(self.clock.now() - letter.at) < _FRESH
        give_up = asyncio.get_running_loop().time() + (PATIENCE if fresh else 0)
        while True:
            task = await self.status.find(letter.task_id)
            if task is not None and _ended_by(task, letter):
                return task
            if asyncio.get_running_loop().time() >= give_up:
                break
            await asyncio.sleep(LOOK_AGAIN)
        if task is None:
            return None
        raise TaskNotDead(f"task {task.id} is {task.state}, and this letter did not end it")

    async def _last_words(self, task: Task, letter: DeadLetter) -> Sequence[Event]:
        """The end of the letter's run: after a crash a later one than that which ended the task."""
        same = task.attempt == letter.attempts
        behind = max(0, task.sequence - 2) if same else 0  # a redrive may stand behind the ending
        return await last_words(self.status, task.id, (letter.attempts, behind))

    async def settle(
        self, letter: DeadLetter, by: str, task_id: TaskId | None, *, edited: bool = False
    ) -> KnownLetter:
        """Note that its message, or what stands for it, was sent again."""
        settled = LetterRedriven(
            letter_id=letter.id,
            at=self.clock.now(),
            by=by,
            task_id=task_id,
            redrives=letter.redrives + 1,
            edited=edited,
        )
        await self.log.publish(settled)
        self.letters.recent.add(settled)
        return KnownLetter(letter, settled)


async def last_words(
    status: StatusStore, task_id: TaskId, after: tuple[int, int]
) -> Sequence[Event]:
    """The last event of each attempt behind a place, however many there are."""
    last: dict[int, Event] = {}
    while told := await status.events(task_id, after):
        last |= {each.attempt: each for each in told}
        after = told[-1].attempt, told[-1].sequence
    return list(last.values())


def reopening(
    task: Task, attempt: int, told: Sequence[Event], *, times: int, at: datetime
) -> TaskRedriven:
    """Opens a task again that has come back so many `times`, behind the last word of an attempt."""
    numbers = (each.sequence for each in told if each.attempt == attempt)
    return TaskRedriven(
        task_id=task.id,
        agent=task.agent,
        attempt=attempt,
        sequence=1 + max(numbers, default=task.sequence),
        at=at,
        worker_id=GATEWAY,
        redrives=times,
    )


def _trace(letter: DeadLetter, told: Sequence[Event]) -> str | None:
    """The trace context its task ended in, for a message that brought none."""
    own = dict(letter.origin.headers).get("traceparent", b"").decode("utf-8", "replace")
    if trace_id_of(own):
        return own
    return next((event.traceparent for event in told if event.traceparent), None)


def _ended_by(task: Task, letter: DeadLetter) -> bool:
    """Whether its message ended the task: one that is no task ends only what it was taken for."""
    if task.state.terminal and task.attempt <= letter.attempts and task.state not in _DEAD:
        return False
    stray = letter.reason is DeadLetterReason.UNDECODABLE
    return task.agent == letter.agent and any(
        each.state in _DEAD and (each.undecodable or not stray)
        for each in task.attempts
        if each.number == letter.attempts
    )
