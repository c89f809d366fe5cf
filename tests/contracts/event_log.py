"""What every EventLog must do; each adapter's test class subclasses this."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.domain.model.errors import PayloadTooLarge
from app.domain.model.messages import Message
from app.ports.event_log import EventLog
from tests.builders import TRACEPARENT, completed, progressed, started, submitted, token

ReadBack = Callable[[int], Awaitable[list[Message]]]
"""So many messages of the log, in order within each of its topics."""


class EventLogContract:
    @pytest.fixture
    def log(self) -> EventLog:
        raise NotImplementedError("the subclass provides the log under test")

    @pytest.fixture
    def read_back(self) -> ReadBack:
        raise NotImplementedError("the subclass reads the log by other means")

    async def test_what_is_published_can_be_read(self, log: EventLog, read_back: ReadBack) -> None:
        messages = [submitted(), started(), token(sequence=2), completed(sequence=3)]
        for message in messages:
            await log.publish(message)
        assert sorted(await read_back(4), key=repr) == sorted(messages, key=repr)

    async def test_a_message_keeps_its_trace_context(
        self, log: EventLog, read_back: ReadBack
    ) -> None:
        await log.publish(submitted(traceparent=TRACEPARENT))
        [message] = await read_back(1)
        assert message.traceparent == TRACEPARENT

    async def test_a_field_of_a_newer_version_is_kept(
        self, log: EventLog, read_back: ReadBack
    ) -> None:
        newer = completed().model_copy(update={"mood": "good"})
        await log.publish(newer)
        [message] = await read_back(1)
        assert message.model_extra == {"mood": "good"}

    async def test_a_task_keeps_its_order(self, log: EventLog, read_back: ReadBack) -> None:
        told = [progressed(sequence=number) for number in range(1, 501)]
        acknowledged = [await log.append(message) for message in told]
        await asyncio.gather(*acknowledged)
        assert await read_back(500) == told

    async def test_who_stops_waiting_does_not_stop_the_message(
        self, log: EventLog, read_back: ReadBack
    ) -> None:
        acknowledged = await log.append(submitted())
        waiter = asyncio.ensure_future(acknowledged)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        assert await read_back(1) == [submitted()]

    async def test_nobody_has_to_wait(self, log: EventLog, read_back: ReadBack) -> None:
        await log.append(token())
        assert await read_back(1) == [token()]

    async def test_an_acknowledgement_may_be_awaited_twice(self, log: EventLog) -> None:
        acknowledged = await log.append(submitted())
        await asyncio.gather(_await(acknowledged), _await(acknowledged))

    async def test_a_message_as_large_as_it_says_is_taken(
        self, log: EventLog, read_back: ReadBack
    ) -> None:
        assert log.largest_message is not None
        largest = completed(output="x" * (log.largest_message - 4_096))
        await log.publish(largest)
        assert await read_back(1) == [largest]

    async def test_a_message_too_large_is_refused_at_once(
        self, log: EventLog, read_back: ReadBack
    ) -> None:
        with pytest.raises(PayloadTooLarge):
            await log.append(submitted(input="x" * 1_000_001))
        await log.publish(submitted("after"))
        assert await read_back(1) == [submitted("after")]


async def _await(acknowledged: Awaitable[None]) -> None:
    await acknowledged
