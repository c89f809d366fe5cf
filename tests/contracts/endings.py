"""What every Endings must do; each adapter's test class subclasses this."""

import asyncio

import pytest

from app.ports.event_log import Endings, EventFeed, EventLog, Offsets
from tests.builders import (
    canceled,
    completed,
    failed,
    progressed,
    rejected,
    retry_scheduled,
    started,
    submitted,
    task_id,
)


class EndingsContract:
    @pytest.fixture
    def log(self) -> EventLog:
        raise NotImplementedError("the subclass provides a log to write to")

    @pytest.fixture
    def feed(self) -> EventFeed:
        raise NotImplementedError("the subclass provides a feed that knows where the log ends")

    @pytest.fixture
    def endings(self) -> Endings:
        raise NotImplementedError("the subclass provides the endings under test")

    async def test_on_an_empty_log_nothing_has_ended(self, endings: Endings) -> None:
        async with asyncio.timeout(30):
            assert (await endings.behind({})).attempts == {}

    async def test_every_kind_of_end_is_one_and_nothing_else(
        self, log: EventLog, endings: Endings
    ) -> None:
        ends = [completed("a"), failed("b"), canceled("c"), rejected("d")]
        others = [submitted("e"), started("e"), progressed("e"), retry_scheduled("f")]
        for message in (*ends, *others):
            await log.publish(message)
        async with asyncio.timeout(30):
            ended = await endings.behind({})
        assert ended.attempts == {task_id(name): 1 for name in "abcd"}

    async def test_the_last_attempt_that_ended_it_is_told(
        self, log: EventLog, endings: Endings
    ) -> None:
        for attempt in (2, 4, 3):
            await log.publish(failed("t-1", attempt=attempt))
        async with asyncio.timeout(30):
            assert (await endings.behind({})).attempts == {task_id("t-1"): 4}

    async def test_only_what_stands_behind_the_offsets_is_told(
        self, log: EventLog, feed: EventFeed, endings: Endings
    ) -> None:
        for number in range(20):
            await log.publish(completed(f"old-{number}"))
        read = await feed.ends()
        async with asyncio.timeout(30):
            assert (await endings.behind(read)).attempts == {}
        for number in range(20):
            await log.publish(completed(f"new-{number}"))
        async with asyncio.timeout(30):
            ended = await endings.behind(read)
        assert ended.attempts == {task_id(f"new-{number}"): 1 for number in range(20)}

    async def test_who_goes_on_from_where_it_was_is_told_what_came_since(
        self, log: EventLog, endings: Endings
    ) -> None:
        read: Offsets = {}
        for name in ("a", "b", "c"):
            await log.publish(started(name))
            await log.publish(completed(name))
            async with asyncio.timeout(30):
                ended = await endings.behind(read)
            assert ended.attempts == {task_id(name): 1}
            read = {**read, **ended.read}
