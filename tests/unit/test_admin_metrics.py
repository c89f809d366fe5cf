"""What the metrics of workers and projectors say."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest
from prometheus_client import CollectorRegistry

from app.adapters.memory.dead_letters import MemoryDeadLetters
from app.adapters.memory.event_feed import MemoryEventFeed
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.dead_letters import DeadLetter, DeadLetterReason, Origin
from app.domain.model.events import Event, TraceModelCall
from app.domain.model.messages import Message
from app.domain.use_cases.project_status import ProjectStatus
from app.entrypoints.admin import behind, projector_meter
from app.entrypoints.admin.behind import Behind
from app.entrypoints.admin.projector_meter import ProjectorMeter
from app.entrypoints.admin.worker_meter import WorkerMeter
from app.ports.event_log import EventLog, LogUnavailable, Offsets
from app.ports.status_store import OffsetsMoved, ViewUpdate
from app.ports.task_queue import Delivery
from tests.builders import (
    ANALYST,
    at,
    canceled,
    completed,
    failed,
    rejected,
    started,
    stepped,
    submitted,
    task_id,
)
from tests.waiting import until

ORIGIN = Origin(topic="crewline.commands.business-analyst", partition=0, offset=7, timestamp=at(0))


# --- the worker's metrics


class BrokenLog(EventLog):
    """Takes messages and never makes them durable."""

    async def append(self, message: Message) -> Awaitable[None]:
        async def lost() -> None:
            raise LogUnavailable("it was not recorded")

        return lost()


class Metered:
    """A worker's meter, and what it counted."""

    def __init__(self, log: EventLog | None = None) -> None:
        self.registry = CollectorRegistry()
        self.meter = WorkerMeter(self.registry, slots=4)
        self.log = self.meter.log(log or MemoryEventLog(), [ANALYST])

    async def handles(self, *events: Event, attempt: int = 1) -> None:
        """A delivery whose handling tells these events."""

        async def handle(delivery: Delivery) -> None:
            for event in events:
                await self.log.publish(event)

        delivery = Delivery(submitted(), ORIGIN, attempt, redelivered=False, lost=asyncio.Event())
        await self.meter.handling(handle)(delivery)

    def finished(self, state: str, agent: str = ANALYST) -> float | None:
        return self.value("crewline_tasks_finished_total", agent=agent, state=state)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


async def test_tasks_are_counted_by_the_way_they_end() -> None:
    worker = Metered()
    for ending in (completed(), completed("t-2"), failed("t-3"), canceled("t-4"), rejected("t-5")):
        await worker.handles(started(), stepped(), ending)
    counts = [worker.finished(s) for s in ("completed", "failed", "canceled", "rejected")]
    assert counts == [2, 1, 1, 1]


async def test_an_ending_that_is_not_durable_does_not_count() -> None:
    worker = Metered(BrokenLog())
    with pytest.raises(LogUnavailable):
        await worker.handles(completed())
    assert worker.finished("completed") == 0
    assert worker.meter.running == 0


async def test_the_wait_ends_when_the_task_first_starts() -> None:
    worker = Metered()
    await worker.handles(started(after=90), completed())
    await worker.handles(started(attempt=2, after=900), completed(attempt=2), attempt=2)
    assert worker.value("crewline_task_queue_wait_seconds_count", agent=ANALYST) == 1
    assert worker.value("crewline_task_queue_wait_seconds_sum", agent=ANALYST) == 90
    assert worker.value("crewline_task_run_seconds_count", agent=ANALYST) == 2


async def test_a_task_that_never_started_has_no_running_time() -> None:
    worker = Metered()
    await worker.handles(rejected())
    assert worker.value("crewline_task_run_seconds_count", agent=ANALYST) == 0
    assert worker.finished("rejected") == 1


async def test_agents_that_anybody_may_invent_share_one_label() -> None:
    worker = Metered()
    for name in ("mallory", "trudy"):
        await worker.handles(rejected(agent=name))
    assert worker.finished("rejected", agent="") == 2
    assert worker.finished("rejected", agent="mallory") is None


async def test_what_runs_is_counted_while_it_runs() -> None:
    worker = Metered()
    go = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        await go.wait()

    delivery = Delivery(submitted(), ORIGIN, 1, redelivered=False, lost=asyncio.Event())
    handled = worker.meter.handling(handle)
    tasks = [asyncio.ensure_future(handled(delivery)) for _ in range(3)]
    await until(lambda: worker.value("crewline_worker_running") == 3)
    go.set()
    await asyncio.gather(*tasks)
    assert worker.value("crewline_worker_running") == 0


def asked(model: str, **fields: object) -> TraceModelCall:
    return TraceModelCall.model_validate(
        {**stepped().model_dump(), "model": model, "provider": "openai", "duration_ms": 1} | fields
    )


async def test_calls_tokens_and_money_are_counted_for_each_model() -> None:
    worker = Metered()
    answered = {"input_tokens": 100, "cached_tokens": 60, "output_tokens": 7, "cost_usd": 0.25}
    await worker.handles(started(), asked("gpt", **answered), asked("gpt", error="away"))
    model = {"agent": ANALYST, "provider": "openai", "model": "gpt"}
    calls = [
        worker.value("crewline_model_calls_total", **model, outcome=outcome)
        for outcome in ("completed", "failed")
    ]
    tokens = [
        worker.value("crewline_model_tokens_total", **model, type=type_)
        for type_ in ("input", "cached", "output")
    ]
    assert (calls, tokens) == ([1, 1], [100, 60, 7])
    assert worker.value("crewline_model_cost_usd_total", **model) == 0.25


async def test_models_that_tasks_invent_share_one_label() -> None:
    worker = Metered()
    await worker.handles(*(asked(f"model-{number}") for number in range(150)))
    rest = {"agent": ANALYST, "provider": "", "model": "", "outcome": "completed"}
    assert worker.value("crewline_model_calls_total", **rest) == 50


async def test_dead_letters_are_counted_by_reason() -> None:
    worker, letters = Metered(), MemoryDeadLetters()
    reason = DeadLetterReason.UNDECODABLE
    letter = DeadLetter(origin=ORIGIN, reason=reason, detail="no JSON", task_id=None, at=at(1))
    await worker.meter.dead_letters(letters).put(letter)
    assert worker.value("crewline_dead_letters_total", reason="undecodable") == 1
    assert worker.value("crewline_dead_letters_total", reason="invalid") == 0


# --- the projector's metrics


class JealousStore(MemoryStatusStore):
    """Says once that another projector was first."""

    refuses = True

    async def save(self, update: ViewUpdate) -> None:
        if self.refuses:
            self.refuses = False
            raise OffsetsMoved("another was first")
        await super().save(update)


class Projector:
    """A projector in memory with its meter."""

    def __init__(self, store: MemoryStatusStore) -> None:
        self.log, self.store, self.registry = MemoryEventLog(), store, CollectorRegistry()
        self.meter = ProjectorMeter(self.registry)
        self.log_feed = MemoryEventFeed(self.log)
        self.feed = self.meter.feed(self.log_feed)

    async def folds(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self.log.publish(message)
        work = asyncio.ensure_future(ProjectStatus(self.feed, self.store).run())
        try:
            await until(lambda: self.value("crewline_projected_messages_total") == len(messages))
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def value(self, name: str) -> float | None:
        return self.registry.get_sample_value(name)


MESSAGES = (submitted(), submitted(), started(), stepped(sequence=2), completed(sequence=3))


async def test_every_message_folded_counts_and_every_batch_is_timed() -> None:
    projector = Projector(MemoryStatusStore())
    assert not projector.meter.consuming
    await projector.folds(MESSAGES)
    assert projector.meter.consuming
    assert projector.value("crewline_projection_batch_seconds_count") == 1
    assert await projector.store.find(task_id())


async def test_what_the_views_pass_over_counts() -> None:
    projector = Projector(MemoryStatusStore())
    projector.log_feed.passed_over = 3
    await projector.folds(MESSAGES)
    assert projector.value("crewline_projection_passed_over_total") == 3


async def test_a_batch_another_projector_was_faster_with_does_not_count() -> None:
    projector = Projector(JealousStore())
    await projector.folds(MESSAGES)
    assert projector.value("crewline_projection_batch_seconds_count") == 2


async def test_a_batch_that_takes_for_ever_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(projector_meter, "perf_counter", lambda: now)
    meter = ProjectorMeter(CollectorRegistry())
    log = MemoryEventLog()
    await log.publish(submitted())
    batches = meter.feed(MemoryEventFeed(log)).batches(MemoryStatusStore())
    await anext(batches)
    now = 60.0  # as long as the store may be away
    assert meter.goes_on
    now = 91.0
    assert not meter.goes_on


class Lag:
    """Views behind a log, and what the gauges say; time and offsets are the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(behind, "monotonic", lambda: self.now)
        self.log, self.store = MemoryEventLog(), MemoryStatusStore()
        self.registry = CollectorRegistry()
        self.behind = Behind(self.registry)
        self.folded: Offsets = {}

    async def offsets(self) -> Offsets:
        return self.folded

    async def seen(self, after: float) -> tuple[float | None, float | None]:
        """Messages and seconds behind, looked at so much later."""
        self.now += after
        await self.behind.look(MemoryEventFeed(self.log), self)
        return self.gauges()

    def gauges(self) -> tuple[float | None, float | None]:
        names = ("crewline_projection_behind_messages", "crewline_projection_behind_seconds")
        messages, seconds = map(self.registry.get_sample_value, names)
        return messages, seconds


async def test_views_that_lack_nothing_are_not_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    lag = Lag(monkeypatch)
    assert await lag.seen(after=1) == (0, 0)
    await lag.log.publish(submitted())
    lag.folded = lag.log.ends()
    assert await lag.seen(after=3_600) == (0, 0)


async def test_views_are_behind_since_they_were_seen_to_lack_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lag = Lag(monkeypatch)
    await lag.seen(after=1)
    await lag.log.publish(submitted())
    assert await lag.seen(after=5) == (1, 0)
    first = lag.log.ends()
    await lag.log.publish(started())
    assert await lag.seen(after=5) == (2, 5)
    lag.folded = first  # slow, and yet it gets on: behind since it was first seen to lack the next
    assert await lag.seen(after=5) == (1, 0)
    lag.folded = lag.log.ends()
    assert await lag.seen(after=5) == (0, 0)


async def test_time_in_which_nobody_could_tell_counts_as_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lag = Lag(monkeypatch)
    lag.now += 30
    assert lag.gauges() == (0, 30)  # a process that has just started knows nothing yet
    await lag.log.publish(submitted())
    assert await lag.seen(after=10) == (1, 40)


async def test_a_log_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(MemoryEventFeed):
        away = True

        async def ends(self) -> Offsets:
            if self.away:
                raise LogUnavailable("the broker is away")
            return await super().ends()

    monkeypatch.setattr(behind, "_EVERY", 0.01)
    monkeypatch.setattr(behind, "_WHILE_BEHIND", 0.01)
    lag, feed = Behind(CollectorRegistry()), Failing(MemoryEventLog())
    watching = asyncio.ensure_future(lag.watch(feed, MemoryStatusStore()))
    await until(lambda: lag.trouble == "the broker is away")
    assert lag.seconds() > 0
    feed.away = False
    await until(lambda: lag.trouble is None)
    assert lag.seconds() == 0
    watching.cancel()
