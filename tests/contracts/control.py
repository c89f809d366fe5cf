"""What every Control must do; each adapter's test class subclasses this."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from app.domain.model.commands import CancelTask
from app.ports.control import Control
from app.ports.event_log import EventLog
from tests.builders import canceling, completed, submitted
from tests.waiting import until

OpenControl = Callable[[], Control]


class ControlContract:
    @pytest.fixture
    def log(self) -> EventLog:
        raise NotImplementedError("the subclass provides a log to write to")

    @pytest.fixture
    def open_control(self) -> OpenControl:
        raise NotImplementedError("the subclass provides the control under test")

    async def test_what_stood_there_is_heard_before_it_has_caught_up(
        self, log: EventLog, open_control: OpenControl
    ) -> None:
        asked = [canceling(f"t-{number}", "enough") for number in range(50)]
        for each in asked:
            await log.publish(each)
        async with listening(open_control()) as (control, heard):
            await asyncio.wait_for(control.caught_up(), 30)
            assert sorted(heard, key=by_task) == sorted(asked, key=by_task)

    async def test_where_nothing_was_asked_it_has_caught_up_at_once(
        self, open_control: OpenControl
    ) -> None:
        async with listening(open_control()) as (control, heard):
            await asyncio.wait_for(control.caught_up(), 30)
            assert heard == []

    async def test_it_has_not_caught_up_before_it_listens(
        self, log: EventLog, open_control: OpenControl
    ) -> None:
        control = open_control()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(control.caught_up(), 0.05)

    async def test_what_is_asked_later_is_heard_too_and_in_order(
        self, log: EventLog, open_control: OpenControl
    ) -> None:
        async with listening(open_control()) as (control, heard):
            await asyncio.wait_for(control.caught_up(), 30)
            asked = [canceling("t-1", f"{number}", after=number) for number in range(10)]
            for each in asked:
                await log.publish(each)
            await until(lambda: len(heard) == 10)
            assert heard == asked

    async def test_every_listener_hears_everything(
        self, log: EventLog, open_control: OpenControl
    ) -> None:
        await log.publish(canceling())
        async with (
            listening(open_control()) as (_, one),
            listening(open_control()) as (_, other),
        ):
            await until(lambda: one == other == [canceling()])

    async def test_only_what_is_asked_of_tasks_is_heard(
        self, log: EventLog, open_control: OpenControl
    ) -> None:
        for message in (submitted(), completed(), canceling()):
            await log.publish(message)
        async with listening(open_control()) as (control, heard):
            await asyncio.wait_for(control.caught_up(), 30)
            assert heard == [canceling()]


@asynccontextmanager
async def listening(control: Control) -> AsyncIterator[tuple[Control, list[CancelTask]]]:
    heard: list[CancelTask] = []
    task = asyncio.create_task(control.listen(heard.append))
    try:
        yield control, heard
    finally:
        assert not task.done(), task.exception()
        task.cancel()
        await asyncio.wait([task])


def by_task(cancel: CancelTask) -> str:
    return cancel.task_id
