"""The span of a message on its way."""

import asyncio
from collections.abc import Awaitable

import pytest

from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.otel.event_log import TracedEventLog
from app.domain.model.errors import PayloadTooLarge
from app.domain.model.messages import Message
from app.ports.event_log import EventLog, LogUnavailable
from tests.builders import TRACEPARENT, submitted, task_id, token
from tests.contracts.tracing import BROKEN, origin
from tests.otel_spans import Services
from tests.traced_platform import COMMANDS, topic_of

_, TRACE, SENDER, _ = TRACEPARENT.split("-")


class SlowLog(EventLog):
    """A log whose one acknowledgement comes, or fails, when the test says so."""

    def __init__(self) -> None:
        self.acknowledged = asyncio.get_running_loop().create_future()

    async def append(self, message: Message) -> Awaitable[None]:
        return Later(self.acknowledged)


class Later(Awaitable[None]):
    """An acknowledgement that is no future, as Kafka's."""

    def __init__(self, future: "asyncio.Future[None]") -> None:
        self._future = future

    def __await__(self):  # type: ignore[no-untyped-def]
        return self._future.__await__()


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def memory() -> MemoryEventLog:
    return MemoryEventLog(max_message_bytes=10_000)


@pytest.fixture
def log(services: Services, memory: MemoryEventLog) -> TracedEventLog:
    return services.start().event_log(memory, topic_of)


def carried(memory: MemoryEventLog) -> list[str | None]:
    shards = [memory.records(shard) for shard in memory.ends()]
    messages = (record.message for shard in shards for record in shard)
    return [message.traceparent for message in messages if isinstance(message, Message)]


async def test_a_message_carries_the_span_that_sent_it(
    services: Services, memory: MemoryEventLog, log: TracedEventLog
) -> None:
    await log.publish(submitted())
    span = services.one(f"send {COMMANDS}")
    assert span.kind == "PRODUCER"
    assert carried(memory) == [span.traceparent]
    assert span.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": COMMANDS,
        "crewline.message.type": "task.submit.v1",
        "crewline.task.id": task_id(),
        "crewline.agent": "business-analyst",
    }


async def test_a_context_its_producer_chose_stays_and_is_linked(
    services: Services, memory: MemoryEventLog, log: TracedEventLog
) -> None:
    await log.publish(submitted(traceparent=TRACEPARENT))
    span = services.one(f"send {COMMANDS}")
    assert carried(memory) == [TRACEPARENT]
    assert (span.kind, span.links) == ("CLIENT", (SENDER,))


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_context_is_replaced(
    services: Services, memory: MemoryEventLog, log: TracedEventLog, broken: str
) -> None:
    await log.publish(submitted(traceparent=broken))
    assert carried(memory) == [services.one(f"send {COMMANDS}").traceparent]


async def test_a_trace_event_outside_of_any_trace_carries_none(
    services: Services, memory: MemoryEventLog, log: TracedEventLog
) -> None:
    await log.publish(token())
    assert (carried(memory), services.spans) == ([None], [])


async def test_a_message_the_log_refuses_ends_its_span_with_the_reason(
    services: Services, log: TracedEventLog
) -> None:
    with pytest.raises(PayloadTooLarge):
        await log.append(submitted(input="x" * 20_000))
    span = services.one(f"send {COMMANDS}")
    assert (span.error, span.attributes["error.type"]) == (True, "payload-too-large")


async def test_the_span_ends_with_the_acknowledgement_though_nobody_awaits_it(
    services: Services,
) -> None:
    slow = SlowLog()
    acknowledgement = await services.start().event_log(slow, topic_of).append(submitted())
    assert services.spans == []
    slow.acknowledged.set_result(None)
    await asyncio.sleep(0.01)
    assert not services.one(f"send {COMMANDS}").error
    await acknowledgement


async def test_a_failed_acknowledgement_is_raised_and_named(services: Services) -> None:
    slow = SlowLog()
    acknowledgement = await services.start().event_log(slow, topic_of).append(submitted())
    slow.acknowledged.set_exception(LogUnavailable("the broker is away"))
    with pytest.raises(LogUnavailable):
        await acknowledgement
    assert services.one(f"send {COMMANDS}").attributes["error.type"] == "log-unavailable"


async def test_who_stops_waiting_does_not_stop_the_message(services: Services) -> None:
    slow = SlowLog()
    publishing = asyncio.create_task(
        services.start().event_log(slow, topic_of).publish(submitted())
    )
    await asyncio.sleep(0.01)
    publishing.cancel()
    await asyncio.wait([publishing])
    assert not slow.acknowledged.cancelled()
    slow.acknowledged.set_result(None)
    await asyncio.sleep(0.01)
    assert not services.one(f"send {COMMANDS}").error


async def test_unsampled_messages_say_so_and_cost_no_watching(services: Services) -> None:
    memory = MemoryEventLog()
    telemetry = services.start()
    log = telemetry.event_log(memory, topic_of)
    unsampled = TRACEPARENT[:-2] + "00"
    with telemetry.tracing().processing(origin(), unsampled, task_id(), 1):
        acknowledgement = await log.append(submitted())
    assert isinstance(acknowledgement, asyncio.Future)  # the log's own
    (traceparent,) = carried(memory)
    assert str(traceparent).split("-")[1] == TRACE
    assert str(traceparent).endswith("-00")
    assert services.spans == []
