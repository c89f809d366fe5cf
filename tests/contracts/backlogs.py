"""What all Backlogs must do; each adapter's test class subclasses this."""

import asyncio

import pytest

from app.domain.model.priorities import Priority
from app.ports.backlogs import Backlogs, Depth
from app.ports.task_queue import Delivery
from tests.builders import ANALYST, submitted
from tests.contracts.task_queue import Tasks, id_of, running
from tests.waiting import until, until_true


class BacklogsContract:
    @pytest.fixture
    def tasks(self) -> Tasks:
        raise NotImplementedError("the subclass provides the tasks under test")

    @pytest.fixture
    def backlogs(self) -> Backlogs:
        raise NotImplementedError("the subclass provides the backlogs of those tasks")

    async def test_what_was_handed_in_is_open_until_it_is_done(
        self, tasks: Tasks, backlogs: Backlogs
    ) -> None:
        for i in range(10):
            priority = Priority.HIGH if i % 2 else Priority.LOW
            await tasks.put(submitted(f"t-{i}", priority=priority))
        assert (await backlogs.look())[ANALYST] == Depth(open=10, done=0)
        kept = {submitted(f"t-{i}").id for i in (0, 3)}
        seen: list[str] = []
        go_on = asyncio.Event()

        async def keep_some(delivery: Delivery) -> None:
            seen.append(id_of(delivery))
            if id_of(delivery) in kept:
                await go_on.wait()

        async def looks_like(depth: Depth) -> bool:
            return (await backlogs.look())[ANALYST] == depth

        async with running(tasks.queue(slots=10), keep_some):
            await until(lambda: len(seen) == 10)
            await until_true(lambda: looks_like(Depth(open=2, done=8)))
            go_on.set()
            await until_true(lambda: looks_like(Depth(open=0, done=10)))
