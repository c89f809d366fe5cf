"""What a worker counts and times: its tasks, seen from the ports they pass."""

from collections.abc import Awaitable, Collection, Coroutine, Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
from app.domain.model.events import (
    Event,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskRejected,
    TaskStarted,
    TraceModelCall,
)
from app.domain.model.ids import AgentName
from app.domain.model.lifecycle import TaskState
from app.domain.model.messages import Message
from app.ports.dead_letters import DeadLetters
from app.ports.event_log import EventLog
from app.ports.task_queue import Delivery, Handle

_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800)
"""A rule answers at once, a crew thinks for minutes."""
_ENDINGS: Mapping[type[Message], TaskState] = {
    TaskCompleted: TaskState.COMPLETED,
    TaskFailed: TaskState.FAILED,
    TaskCanceled: TaskState.CANCELED,
    TaskRejected: TaskState.REJECTED,
}


@dataclass(slots=True)
class _Handling:
    """One delivery in a worker's hands."""

    delivery: Delivery
    started: float | None = None


_handling: ContextVar[_Handling | None] = ContextVar("handling", default=None)


class WorkerMeter:
    """The worker's instruments, and the decorators that read them off its ports."""

    def __init__(self, registry: CollectorRegistry, slots: int) -> None:
        self.running = 0
        self._known: Collection[AgentName] = ()
        self._agents: dict[str, _AgentMeter] = {}
        self._finished = Counter(
            "crewline_tasks_finished",
            "Tasks this worker brought to an end; the agent is empty where the catalog has none.",
            ("agent", "state"),
            registry=registry,
        )
        self._run = Histogram(
            "crewline_task_run_seconds",
            "Time a task ran, interrupted attempts left out.",
            ("agent",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._wait = Histogram(
            "crewline_task_queue_wait_seconds",
            "Time from a task's record to its start, further attempts left out.",
            ("agent",),
            buckets=_BUCKETS,
            registry=registry,
        )
        letters = Counter(
            "crewline_dead_letters",
            "Messages nobody could act on, set aside with a reason.",
            ("reason",),
            registry=registry,
        )
        self._letters = {reason: letters.labels(reason) for reason in DeadLetterReason}
        self._slots = Gauge(
            "crewline_worker_slots", "Tasks that may run at once.", registry=registry
        )
        self._slots.set(slots)
        self._blocked = Counter(
            "crewline_worker_blocked_seconds",
            "Time in which nothing else ran as an agent blocked the event loop; the agent is empty "
            "where it is not known.",
            ("agent",),
            registry=registry,
        )
        self._models = _ModelMeter(registry)
        running = Gauge("crewline_worker_running", "Tasks in hand now.", registry=registry)
        running.set_function(lambda: self.running)

    def log(self, log: EventLog, known: Collection[AgentName]) -> EventLog:
        """The log, read along; only `known` agents are told apart, for anybody may name others."""
        self._known = frozenset(known)
        return _MeteredLog(log, self)

    def note_blocked(self, agent: str, seconds: float) -> None:
        """This agent has kept everything else from running; from any thread."""
        self._blocked.labels(agent if agent in self._known else "").inc(seconds)

    def note_model_call(self, event: TraceModelCall) -> None:
        """A chat model was asked, and has cost what this says."""
        self._models.note(event, event.agent if event.agent in self._known else "")

    def dead_letters(self, letters: DeadLetters) -> DeadLetters:
        return _MeteredDeadLetters(letters, self._letters)

    def handling(self, handle: Handle) -> Handle:
        async def handled(delivery: Delivery) -> None:
            self.running += 1
            token = _handling.set(_Handling(delivery))
            try:
                await handle(delivery)
            finally:
                _handling.reset(token)
                self.running -= 1

        return handled

    def of_agent(self, name: str) -> "_AgentMeter":
        """The instruments under this agent's name."""
        if (meter := self._agents.get(name)) is None:
            label = name if name in self._known else ""
            meter = _AgentMeter(
                wait=self._wait.labels(label),
                run=self._run.labels(label),
                finished={
                    state: self._finished.labels(label, state) for state in _ENDINGS.values()
                },
            )
            if label:
                self._agents[name] = meter
        return meter


_MOST_MODELS = 100
"""Tasks may name models, and each is a series: further ones share an empty label."""


class _ModelMeter:
    """What models were asked and what that cost, counted when it is known: it is spent then."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._named: set[tuple[str, str]] = set()
        labels = ("agent", "provider", "model")
        self._calls = Counter(
            "crewline_model_calls", "Chat models asked.", (*labels, "outcome"), registry=registry
        )
        self._tokens = Counter(
            "crewline_model_tokens",
            "Tokens that models have read (input, of which the provider had cached some) and "
            "written (output).",
            (*labels, "type"),
            registry=registry,
        )
        self._cost = Counter(
            "crewline_model_cost_usd",
            "US dollars of the calls whose price is known.",
            labels,
            registry=registry,
        )

    def note(self, event: TraceModelCall, agent: str) -> None:
        model = (event.provider or "", event.model)
        if model not in self._named and len(self._named) >= _MOST_MODELS:
            model = ("", "")
        self._named.add(model)
        self._calls.labels(agent, *model, "failed" if event.error else "completed").inc()
        for type_, tokens in (
            ("input", event.input_tokens),
            ("cached", event.cached_tokens),
            ("output", event.output_tokens),
        ):
            self._tokens.labels(agent, *model, type_).inc(tokens)
        if event.cost_usd is not None:
            self._cost.labels(agent, *model).inc(event.cost_usd)


@dataclass(frozen=True, slots=True)
class _AgentMeter:
    wait: Histogram
    run: Histogram
    finished: Mapping[TaskState, Counter]


class _MeteredLog(EventLog):
    """Learns from a task's own events when it starts and how it ends."""

    def __init__(self, inner: EventLog, meter: WorkerMeter) -> None:
        self._inner = inner
        self._meter = meter

    @property
    def largest_message(self) -> int | None:
        return self._inner.largest_message

    def append(self, message: Message) -> Coroutine[Any, Any, Awaitable[None]]:
        # by type: asking isinstance() about a pydantic model costs more than all the rest
        if type(message) is TaskStarted:
            return self._start(message)
        if state := _ENDINGS.get(type(message)):
            return self._end(cast("Event", message), state)
        if type(message) is TraceModelCall:
            self._meter.note_model_call(message)
        return self._inner.append(message)

    async def _start(self, event: TaskStarted) -> Awaitable[None]:
        acknowledged = await self._inner.append(event)
        if handling := _handling.get():
            handling.started = perf_counter()
            if event.attempt == 1:
                waited = (event.at - handling.delivery.origin.timestamp).total_seconds()
                self._meter.of_agent(event.agent).wait.observe(max(waited, 0.0))
        return acknowledged

    async def _end(self, event: Event, state: TaskState) -> Awaitable[None]:
        acknowledged = await self._inner.append(event)
        agent = self._meter.of_agent(event.agent)
        handling = _handling.get()
        if handling and handling.started is not None:
            agent.run.observe(perf_counter() - handling.started)
        return _Counted(acknowledged, agent.finished[state])


class _Counted(Awaitable[None]):
    """An acknowledgement that counts when it comes: what is not durable has not happened."""

    __slots__ = ("_acknowledged", "_counter")

    def __init__(self, acknowledged: Awaitable[None], counter: Counter) -> None:
        self._acknowledged = acknowledged
        self._counter = counter

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._acknowledged.__await__()
        self._counter.inc()


class _MeteredDeadLetters(DeadLetters):
    def __init__(self, inner: DeadLetters, counters: Mapping[DeadLetterReason, Counter]) -> None:
        self._inner = inner
        self._counters = counters

    async def put(self, letter: DeadLetter) -> None:
        await self._inner.put(letter)
        self._counters[letter.reason].inc()
