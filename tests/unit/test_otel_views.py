"""The projector's spans."""

import pytest

from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.commands import SubmitTask
from app.domain.model.events import Event
from app.domain.model.messages import Message
from app.ports.event_log import Shard
from app.ports.status_store import OffsetsMoved, ViewStore, ViewUpdate
from tests.builders import ANALYST, TRACEPARENT, completed, started, submitted, task_id, token
from tests.otel_spans import Services
from tests.traced_platform import COMMANDS, RESULTS, topic_of

_, TRACE, SENDER, _ = TRACEPARENT.split("-")
SHARD = Shard(RESULTS, 0)


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def memory() -> MemoryStatusStore:
    return MemoryStatusStore()


@pytest.fixture
def views(services: Services, memory: MemoryStatusStore) -> ViewStore:
    return services.start().views(memory, topic_of, "projector")


def update(*messages: Message, before: int = 0, after: int = 1) -> ViewUpdate:
    return ViewUpdate(
        commands=[message for message in messages if isinstance(message, SubmitTask)],
        progress={},
        events=[message for message in messages if isinstance(message, Event)],
        before={SHARD: before},
        after={SHARD: after},
    )


def sent(number: int) -> str:
    return f"00-{number:032x}-{number:016x}-01"


async def test_a_few_messages_are_stored_each_in_its_own_trace(
    services: Services, memory: MemoryStatusStore, views: ViewStore
) -> None:
    await views.save(update(submitted(traceparent=sent(1)), completed(traceparent=sent(2))))
    command, result = services.one(f"process {COMMANDS}"), services.one(f"process {RESULTS}")
    assert (command.parent_id, command.links) == (f"{1:016x}", (f"{1:016x}",))
    assert (result.parent_id, result.kind) == (f"{2:016x}", "CONSUMER")
    assert result.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": RESULTS,
        "messaging.consumer.group.name": "projector",
        "crewline.message.type": "task.completed.v1",
        "crewline.task.id": task_id(),
        "crewline.agent": ANALYST,
        "crewline.attempt": 1,
    }
    assert await memory.find(task_id()) is not None


async def test_many_messages_are_one_span_that_links_to_them(
    services: Services, views: ViewStore
) -> None:
    events = [completed(f"t-{n}", traceparent=sent(n)) for n in range(1, 301)]
    await views.save(update(submitted(traceparent=sent(999)), *events))
    (span,) = services.spans
    assert (span.name, span.parent_id) == (f"process {RESULTS}", None)
    assert span.attributes["messaging.batch.message_count"] == 301
    assert len(span.links) == 128


async def test_messages_of_no_trace_make_no_spans(services: Services, views: ViewStore) -> None:
    unsampled = TRACEPARENT[:-2] + "00"
    await views.save(
        update(
            submitted(),
            completed(traceparent=unsampled),
            completed(traceparent="broken"),
            token(traceparent=TRACEPARENT),
        )
    )
    assert services.spans == []


async def test_a_batch_of_unsampled_messages_makes_no_span(
    services: Services, views: ViewStore
) -> None:
    events = [completed(f"t-{n}", traceparent=TRACEPARENT[:-2] + "00") for n in range(20)]
    await views.save(update(*events))
    assert services.spans == []


async def test_a_failed_save_is_an_error_of_its_span(services: Services, views: ViewStore) -> None:
    with pytest.raises(OffsetsMoved):
        await views.save(update(started(traceparent=TRACEPARENT), before=5, after=6))
    assert services.one(f"process {RESULTS}").attributes["error.type"] == "offsets-moved"


async def test_everything_else_is_the_stores_own(
    memory: MemoryStatusStore, views: ViewStore
) -> None:
    await views.save(update(submitted()))
    assert await views.offsets() == await memory.offsets() == {SHARD: 1}
    assert await views.progress([task_id()]) == {}
    await views.clear()
    assert await memory.find(task_id()) is None
