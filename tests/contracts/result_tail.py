"""What every ResultTail must do; each adapter's test class subclasses this."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Protocol

import pytest

from app.domain.model.events import ResultEvent
from app.domain.model.ids import TaskId
from app.ports.event_log import EventLog
from tests.builders import completed, progressed, started, submitted, task_id, token


class Tail(Protocol):
    async def ready(self) -> None: ...
    def results(self, wanted: Callable[[TaskId], bool]) -> AsyncIterator[ResultEvent]: ...


OpenTail = Callable[[], Tail]


class ResultTailContract:
    @pytest.fixture
    def log(self) -> EventLog:
        raise NotImplementedError("the subclass provides a log to write to")

    @pytest.fixture
    def open_tail(self) -> OpenTail:
        raise NotImplementedError("the subclass provides the tail under test")

    async def test_what_comes_after_it_is_ready_is_heard(
        self, log: EventLog, open_tail: OpenTail
    ) -> None:
        for sequence in range(1, 101):
            await (await log.append(progressed("old", sequence=sequence)))
        tail = open_tail()
        await tail.ready()
        await log.publish(started())
        await log.publish(completed())
        assert await heard(tail, 2) == [started(), completed()]

    async def test_old_results_sent_together_are_not_heard(
        self, log: EventLog, open_tail: OpenTail
    ) -> None:
        old = [await log.append(progressed("old", sequence=number)) for number in range(1, 101)]
        await asyncio.gather(*old)
        tail = open_tail()
        await tail.ready()
        await log.publish(completed())
        assert await heard(tail, 1) == [completed()]

    async def test_only_results_are_heard(self, log: EventLog, open_tail: OpenTail) -> None:
        tail = open_tail()
        await tail.ready()
        for message in (submitted(), token(), completed()):
            await log.publish(message)
        assert await heard(tail, 1) == [completed()]

    async def test_only_wanted_tasks_are_heard(self, log: EventLog, open_tail: OpenTail) -> None:
        tail = open_tail()
        await tail.ready()
        for name in ("other", "mine"):
            await log.publish(completed(name))
        assert await heard(tail, 1, wanted=task_id("mine").__eq__) == [completed("mine")]

    async def test_every_listener_hears_everything(
        self, log: EventLog, open_tail: OpenTail
    ) -> None:
        tails = [open_tail(), open_tail()]
        for tail in tails:
            await tail.ready()
        await log.publish(completed())
        for tail in tails:
            assert await heard(tail, 1) == [completed()]

    async def test_who_listens_again_hears_what_comes_then(
        self, log: EventLog, open_tail: OpenTail
    ) -> None:
        tail = open_tail()
        await tail.ready()
        await log.publish(started())
        assert await heard(tail, 1) == [started()]
        await log.publish(progressed())
        await tail.ready()
        await log.publish(completed(sequence=3))
        assert await heard(tail, 1) == [completed(sequence=3)]


def everyones(_: TaskId) -> bool:
    return True


async def heard(
    tail: Tail, count: int, wanted: Callable[[TaskId], bool] = everyones
) -> list[ResultEvent]:
    events: list[ResultEvent] = []
    async with asyncio.timeout(30), aclosing(tail.results(wanted)) as results:  # type: ignore[type-var]
        async for event in results:
            events.append(event)
            if len(events) == count:
                return events
    return events
