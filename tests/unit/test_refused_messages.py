"""What is not run: expired, invalid, or no task at all."""

import pytest

from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.budgets import Budget
from app.domain.model.commands import Earlier, SubmitTask
from app.domain.model.dead_letters import DeadLetterReason
from app.domain.model.events import TaskRejected
from app.domain.model.lifecycle import Reason
from app.domain.model.progress import fold
from app.ports.status_store import ViewUpdate
from app.ports.task_queue import Undecodable
from tests.builders import ANALYST, at, rejected, submitted, task_id
from tests.unit.at_work import Scripted, Worker, answer, delivered, holding, worker


async def test_an_expired_task_is_rejected_without_running() -> None:
    at_work = worker(answer)
    await at_work.handle(delivered(submitted("t-1", expires_at=at(30))))
    (rejected,) = at_work.events
    assert isinstance(rejected, TaskRejected)
    assert rejected.reason is Reason.EXPIRED
    assert at_work.runtime.runs == 0


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (submitted("t-1", agent="stranger"), DeadLetterReason.UNKNOWN_AGENT),
        (submitted("t-1", runtime="crewai"), DeadLetterReason.INVALID),
        (submitted("t-1", input=""), DeadLetterReason.INVALID),
    ],
)
async def test_what_cannot_be_run_is_a_dead_letter_with_its_reason_and_a_rejected_task(
    command: SubmitTask, reason: DeadLetterReason
) -> None:
    at_work = worker(answer)
    await at_work.handle(delivered(command))
    (letter,) = at_work.letters.letters
    assert (letter.reason, letter.origin.value, letter.task_id) == (reason, b"v", command.id)
    (rejected,) = at_work.events
    assert isinstance(rejected, TaskRejected)
    assert rejected.reason is Reason.DEAD_LETTERED


async def test_a_task_with_a_limit_nobody_keeps_is_not_run() -> None:
    at_work = worker(answer)
    budget = Budget.model_validate({"tokens": 9, "max_tokns": 5})
    await at_work.handle(delivered(submitted("t-1").model_copy(update={"budget": budget})))
    (letter,) = at_work.letters.letters
    assert letter.reason is DeadLetterReason.INVALID
    assert "'max_tokns' is no limit" in letter.detail
    assert at_work.runtime.runs == 0
    (refused,) = at_work.events
    assert isinstance(refused, TaskRejected)


async def test_an_undecodable_message_is_a_dead_letter_and_its_task_rejected() -> None:
    at_work = worker(answer)
    await at_work.handle(delivered(Undecodable("no JSON", task_id("t-1"), ANALYST)))
    assert at_work.letters.letters[0].reason is DeadLetterReason.UNDECODABLE
    assert isinstance(at_work.events[0], TaskRejected)


async def test_a_stray_message_with_a_real_tasks_id_does_not_end_that_task() -> None:
    store = await holding(submitted("t-1"))
    at_work = Worker(Scripted(answer), store=store)
    await at_work.handle(delivered(Undecodable("no JSON", task_id("t-1"), ANALYST)))
    assert len(at_work.letters.letters) == 1
    assert at_work.events == []


@pytest.mark.parametrize(("ended", "told"), [("undecodable", 1), ("run-failed", 0)])
async def test_a_redriven_message_that_is_no_task_ends_just_what_it_ended_before(
    ended: str, told: int
) -> None:
    store = MemoryStatusStore()
    ending = rejected("t-1", code=ended, reason=Reason.DEAD_LETTERED)
    progress = {ending.task_id: fold(None, ending, offset=0)}
    await store.save(ViewUpdate([], progress, [], before={}, after={}))
    at_work = Worker(Scripted(answer), store=store)
    again = Undecodable("no JSON", task_id("t-1"), ANALYST, Earlier(attempts=1, redrives=1))
    await at_work.handle(delivered(again, attempt=2))
    assert [event.attempt for event in at_work.events] == [2] * told


async def test_what_was_told_of_a_message_that_is_no_task_goes_with_its_letter() -> None:
    store = MemoryStatusStore()
    ending = rejected("t-1", code="undecodable", reason=Reason.DEAD_LETTERED)
    progress = {ending.task_id: fold(None, ending, offset=0)}
    await store.save(ViewUpdate([], progress, [], before={}, after={}))
    at_work = Worker(Scripted(answer), store=store)
    message = Undecodable("no JSON", task_id("t-1"), ANALYST)
    await at_work.handle(delivered(message, attempt=2, redelivered=True))  # its worker had died
    assert [letter.attempts for letter in at_work.letters.letters] == [2]
    assert [event.attempt for event in at_work.events] == [2]
