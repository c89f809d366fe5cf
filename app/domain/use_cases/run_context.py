"""One run of a task: numbers its events, tells them to the log, and keeps what it has spent."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, get_args

from app.domain.model.budgets import UNLIMITED, BudgetExceeded
from app.domain.model.commands import SubmitTask
from app.domain.model.errors import PayloadTooLarge
from app.domain.model.events import (
    Event,
    ResultEvent,
    TaskProgressed,
    TaskStarted,
    TerminalEvent,
    Trace,
    TraceLog,
    TraceModelCall,
    TraceStep,
    TraceToken,
    TraceToolCall,
    Usage,
)
from app.domain.model.ids import TaskId, WorkerId, derived_task_id
from app.domain.model.progress import NOTHING_SPENT
from app.domain.model.readable import as_text
from app.domain.use_cases.spend_on_models import Spending
from app.ports.agent_runtime import (
    ActivityId,
    ActivityKind,
    NamedRun,
    RunContext,
    RunStopped,
    StopReason,
)
from app.ports.chat_model import ChatModels, are_counts
from app.ports.clock import Clock
from app.ports.event_log import EventLog, LogUnavailable
from app.ports.ledger import Reservation
from app.ports.tracing import RunTracer

_UNACKNOWLEDGED = 256
"""Events on their way to the log at once; more wait, so a chatty run slows itself down."""
_TOKENS_EVERY = 0.1
"""Seconds of a model's answer that travel together."""

_AROUND_A_RESULT = 4_096
"""Bytes of an event and of its headers beside the result."""
_UNKNOWN_LIMIT = 1_000_000
_WORDS = {
    kind.TYPE: kind.TYPE.rpartition(".")[0].replace(".", " ").replace("-", " ")
    for kind in get_args(ResultEvent)
}
"""Each event of the results in words: `task started`."""
_worker_log = logging.getLogger(__name__)
_ENDINGS = frozenset(get_args(TerminalEvent))
_AnyEvent = TypeVar("_AnyEvent", bound=Event)


@dataclass(frozen=True, slots=True)
class _Activity:
    kind: ActivityKind
    name: str
    parent: ActivityId | None
    provider: str | None
    began: float
    booked: Reservation | None = None
    """What a budget was charged for a model call that the agent makes by itself."""

    @property
    def model(self) -> str:
        """`provider:name`; a name may have its provider in it."""
        return f"{self.provider}:{self.name}" if self.provider else self.name


class Run(RunContext):
    def __init__(
        self,
        command: SubmitTask,
        attempt: int,
        *,
        worker_id: WorkerId,
        log: EventLog,
        clock: Clock,
        tracer: RunTracer,
        over: Callable[[], bool] = bool,
        spending: Spending | None = None,
    ) -> None:
        """`over` says whether the run has to leave the task to another worker."""
        self._command = command
        self._attempt = attempt
        self._worker_id = worker_id
        self._log = log
        self._clock = clock
        self._tracer = tracer
        self._over = over
        self._spending = spending
        self._refused = 0
        """Model calls refused by the budget whose end has not been told."""
        self.allowed = UNLIMITED
        """What the agent may spend."""
        self._sequence = 0
        self._unacknowledged: deque[tuple[Event, Awaitable[None] | None]] = deque()
        """What was told, with None where the log has not even taken it yet."""
        self._activities: dict[ActivityId, _Activity] = {}
        self._tokens: list[str] = []
        self._tokens_of: ActivityId | None = None
        self._tokens_since = 0.0
        self._lends_models = False
        """Whether the runtime asks models through `within_budget`, which books their calls."""
        self.usage = NOTHING_SPENT
        self.stopping: StopReason | None = None
        """Set when the run is asked to stop."""
        self.ended = False
        """Set when the task's end has been told."""
        self._began: float | None = None
        self.over = False
        """Set when the agent's work has ended: what it left behind tells nothing more."""
        self._telling = asyncio.Lock()
        """Events are appended one after another, in the order of their numbers."""

    # --- what an agent may call

    @property
    def attempt(self) -> int:
        return self._attempt

    @property
    def canceled(self) -> bool:
        return self.stop_reason is not None

    @property
    def stop_reason(self) -> StopReason | None:
        if self._over():
            return StopReason.LOST
        return self.stopping or (StopReason.OVER if self.over else None)

    @property
    def max_result_bytes(self) -> int | None:
        largest = self._log.largest_message
        return None if largest is None else max(0, largest - _AROUND_A_RESULT)

    def idempotency_key(self, step: str) -> str:
        self._refuse_if_over()
        self._refuse_what_was_left_behind()
        return derived_task_id("step", self._command.id, step)

    async def report(self, message: str, progress: float | None = None) -> None:
        message = self._cut(message)
        self._refuse_what_was_left_behind()
        await self.tell(
            TaskProgressed, message=as_text(message), progress=progress, usage=self.usage
        )

    async def log(
        self, message: str, level: Literal["debug", "info", "warning", "error"] = "info"
    ) -> None:
        self._refuse_what_was_left_behind()
        message = self._cut(message)
        await self.tell(TraceLog, level=level, message=as_text(message))

    async def token(self, text: str, parent: ActivityId | None = None) -> None:
        self._refuse_what_was_left_behind()
        now = _now()
        if parent != self._tokens_of:
            await self._flush_tokens()
        if not self._tokens:
            self._tokens_of, self._tokens_since = parent, now
        self._tokens.append(text)
        if now - self._tokens_since >= _TOKENS_EVERY:
            await self._flush_tokens()

    async def begin(
        self,
        kind: ActivityKind,
        name: str,
        parent: ActivityId | None = None,
        provider: str | None = None,
        *,
        lent: bool | None = None,
    ) -> ActivityId:
        self._refuse_what_was_left_behind()
        began = _Activity(kind, as_text(self._cut(name)), parent, provider, _now())
        if kind == "model" and not (self._lends_models if lent is None else lent):
            began = replace(began, booked=await self._book(began.model))
        name = began.name
        activity = self._clock.entropy().hex()[-16:]
        self._activities[activity] = began
        self._tracer.begin(activity, kind, name, parent, provider)
        if kind in ("workflow", "agent", "step"):
            await self._step(activity, self._activities[activity], "started")
        return activity

    async def end(
        self,
        activity: ActivityId,
        *,
        error: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int = 0,
        finish_reason: str | None = None,
        counted: bool = True,
    ) -> None:
        self._refuse_what_was_left_behind()
        ended = self._activities.pop(activity)
        error = as_text(self._cut(error)) if error else error
        asked, answered, cached = input_tokens or 0, output_tokens or 0, cached_tokens
        if not are_counts(asked, answered, cached):
            # a call that failed may have taken none; one that was answered has taken some
            none = error is not None and (input_tokens, output_tokens) == (0, 0)
            if ended.kind == "model" and (asked, answered) != (0, 0):
                await self._warn(
                    f"{ended.model} cannot have taken the tokens that its call told of"
                )
            counted = counted and none
            asked, answered, cached = 0, 0, 0
        self._tracer.end(
            activity,
            error=error,
            input_tokens=asked,
            output_tokens=answered,
            finish_reason=finish_reason,
        )
        where = {"span_id": activity, "parent_span_id": ended.parent}
        lasted = {"duration_ms": round((_now() - ended.began) * 1000, 3)}
        if ended.kind == "model":
            await self._flush_tokens()
            took = {"input_tokens": asked, "output_tokens": answered}
            cost = self._cost(ended, asked, answered, cached) if counted else None
            if ended.booked is not None and self._spending is not None:
                failed = error is not None and not asked  # as one that nobody answered
                counts = (asked, answered, cached) if counted or failed else None
                await self._spending.settle_own_call(ended.booked, ended.model, counts)
            known = cost if asked else None  # a failed call's nothing is no known sum of others
            self.usage += Usage(model_calls=self._calls_made(error), cost_usd=known, **took)
            called = {"model": ended.name, "provider": ended.provider, "error": error}
            ended_so = {"finish_reason": finish_reason, "cost_usd": cost, "counted": counted}
            took |= {"cached_tokens": cached}
            await self.tell(TraceModelCall, **where, **lasted, **took, **called, **ended_so)
        elif ended.kind == "tool":
            self.usage += Usage(tool_calls=1)
            await self.tell(TraceToolCall, **where, **lasted, tool=ended.name, error=error)
        else:
            phase: Literal["completed", "failed"] = "failed" if error else "completed"
            await self._step(activity, ended, phase, **lasted, detail=error)

    def within_budget(self, models: ChatModels) -> ChatModels:
        self._lends_models = True
        if self._spending is None:
            if self._command.budget is not None or self.allowed != UNLIMITED:
                raise BudgetExceeded("this worker keeps no budgets")
            return models
        return self._spending.within_budget(self._command, self.allowed, models, self._note_refusal)

    # --- what the worker calls

    @property
    def task_id(self) -> TaskId:
        return self._command.id

    @property
    def told_of_no_call(self) -> bool:
        """Whether nothing is known of any model call."""
        begun = any(each.kind == "model" for each in self._activities.values())
        return not begun and not self.usage.model_calls

    async def warn_of_budget(self) -> None:
        """Say that nobody kept the task's budget, in its trace and in the worker's log."""
        await self._warn(
            "this task has a budget, and its agent told of no model call: if it made any, nobody "
            "counted them (context.begin and context.end do)"
        )

    @property
    def name(self) -> str:
        """What its asyncio task is called."""
        return NamedRun(self._command.agent, self._command.id).name

    @property
    def worker_id(self) -> WorkerId:
        return self._worker_id

    async def tell(self, event_type: type[_AnyEvent], /, **fields: object) -> _AnyEvent:
        """Append the run's next event; it is on its way when this returns, not yet durable.

        A log that is away takes it later: what the run does need not be done again for that. The
        event that ends the task comes when all before it are durable, as who reads it goes away.
        Raises `RunStopped` where another worker may run the task by now.
        """
        self._refuse_if_over()
        async with self._telling:
            await self._tell_tokens()
            if event_type in _ENDINGS and any(map(_may_come_late, self._unacknowledged)):
                await self._drain()
            return await self._append(event_type, **fields)

    async def _append(self, event_type: type[_AnyEvent], **fields: object) -> _AnyEvent:
        self._refuse_if_over()
        event = event_type.model_validate(
            {
                "task_id": self._command.id,
                "agent": self._command.agent,
                "attempt": self._attempt,
                "sequence": self._sequence + 1,
                "at": self._clock.now(),
                "worker_id": self._worker_id,
                **fields,
            }
        )
        self._sequence += 1
        acknowledgement = None
        try:
            if await self._caught_up():
                acknowledgement = await self._log.append(event)
        except LogUnavailable:
            pass  # `acknowledged` tries again
        except PayloadTooLarge:
            self._sequence -= 1  # it was never told: the next event takes its number
            raise
        if event_type not in _ENDINGS:
            self._log_line(event)
        self.ended = self.ended or event_type in _ENDINGS
        self._unacknowledged.append((event, acknowledgement))
        if len(self._unacknowledged) >= _UNACKNOWLEDGED:
            await self._drain()
        return event

    async def _caught_up(self) -> bool:
        """Whether the log has taken all that was told before; what it has not it is given again."""
        told = self._unacknowledged
        if not told or (told[0][1] is not None and told[-1][1] is not None):
            return True
        for place, (event, acknowledgement) in enumerate(tuple(told)):
            if acknowledgement is None:
                try:
                    told[place] = (event, await self._log.append(event))
                except PayloadTooLarge:
                    return False
        return True

    async def acknowledged(self) -> None:
        """Return once every event told so far is durable, however long the log is away.

        What has to end sooner is cancelled: a run whose delivery is lost, or a worker that stops.
        Raises `PayloadTooLarge` where the log refused the task's end: it has not been told then.
        Of another event it refuses it keeps the number, and a word that it is left out.
        """
        await self._flush_tokens()
        await self._drain()

    async def _drain(self) -> None:
        waiting, self._unacknowledged = self._unacknowledged, deque()
        try:
            while waiting:
                event, acknowledgement = waiting[0]
                try:
                    await (acknowledgement or await self._log.append(event))
                except LogUnavailable as away:
                    waiting[0] = (event, None)  # told twice is told once
                    await asyncio.sleep(away.retry_after)
                except PayloadTooLarge:
                    if type(event) in _ENDINGS:
                        waiting.popleft()
                        self._untell(event)
                        raise
                    waiting[0] = (_left_out(event), None)
                else:
                    waiting.popleft()
                    if type(event) in _ENDINGS:
                        self._log_line(event)
        finally:  # cut off by a deadline, say: the rest is still to be acknowledged
            self._unacknowledged.extendleft(reversed(waiting))

    def _untell(self, ending: Event) -> None:
        """It was the last event, and is none: the next one takes its number."""
        self._sequence = ending.sequence - 1
        self.ended = False

    def _log_line(self, event: Event) -> None:
        """What whoever reads the worker's log is to find of a run: its start and its end."""
        if not _worker_log.isEnabledFor(logging.INFO) or isinstance(event, TaskProgressed | Trace):
            return
        if isinstance(event, TaskStarted):
            self._began = _now()
            about: dict[str, object] = {"runtime": event.runtime, "model": event.model}
        else:
            lasted = None if self._began is None else round(_now() - self._began, 3)
            error = getattr(event, "error", None)
            about = {
                "seconds": lasted,
                "code": error and error.code,
                "error": error and error.message,
                "reason": getattr(event, "reason", None),
            }
        said = {name: value for name, value in about.items() if value is not None}
        _worker_log.info("%s", _WORDS.get(event.TYPE, event.TYPE), extra=said)

    def _note_refusal(self) -> None:
        self._refused += 1

    def _calls_made(self, error: str | None) -> int:
        """One, unless it is a call that was refused: it ended too, but nobody was asked."""
        if error is None or self._refused == 0:
            return 1
        self._refused -= 1
        return 0

    def _cost(self, call: _Activity, asked: int, answered: int, cached: int) -> float | None:
        if self._spending is None:
            return None
        return self._spending.cost_usd(call.model, asked, answered, cached)

    async def _book(self, model: str) -> Reservation | None:
        if self._spending is None:
            if self._command.budget is not None or self.allowed != UNLIMITED:
                raise BudgetExceeded("this worker keeps no budgets")
            return None
        return await self._spending.book_own_call(self._command, self.allowed, model)

    async def _warn(self, message: str) -> None:
        _worker_log.warning(message)
        await self.tell(TraceLog, level="warning", message=as_text(message))

    @property
    def _longest_text(self) -> int:
        """Characters that fit into an event, however they are written in JSON."""
        return max(100, (self._log.largest_message or _UNKNOWN_LIMIT) // 8)

    def _cut(self, text: str) -> str:
        """A text beside the result is cut rather than ending the run that tells it."""
        longest = self._longest_text
        if len(text) <= longest:
            return text
        return f"{text[:longest]}… ({len(text) - longest:,} more characters)"

    def _refuse_if_over(self) -> None:
        if self._over():
            raise RunStopped(StopReason.LOST)

    def _refuse_what_was_left_behind(self) -> None:
        if self.over:
            raise RunStopped(StopReason.OVER)

    async def _step(
        self, activity: ActivityId, step: _Activity, phase: str, **fields: object
    ) -> None:
        await self.tell(
            TraceStep,
            span_id=activity,
            parent_span_id=step.parent,
            kind=step.kind,
            name=step.name,
            phase=phase,
            **fields,
        )

    async def _flush_tokens(self) -> None:
        if self._tokens:
            async with self._telling:
                await self._tell_tokens()

    async def _tell_tokens(self) -> None:
        if self._tokens:
            text, self._tokens = as_text("".join(self._tokens)), []
            for start in range(0, len(text), self._longest_text):
                piece = text[start : start + self._longest_text]
                await self._append(TraceToken, text=piece, span_id=self._tokens_of)


def _may_come_late(told: tuple[Event, Awaitable[None] | None]) -> bool:
    """Whether what is told after it could be durable before it: in its own topic nothing can."""
    event, acknowledgement = told
    return acknowledgement is None or not isinstance(event, ResultEvent)


def _left_out(event: Event) -> Event:
    """What stands in the place of an event that is larger than the log takes."""
    said = event.model_dump(include={"task_id", "agent", "attempt", "sequence", "at", "worker_id"})
    message = f"a {event.TYPE} is left out here: it is larger than the broker takes"
    return TraceLog(**said, level="warning", message=message)


def _now() -> float:
    return asyncio.get_running_loop().time()
