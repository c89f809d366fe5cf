"""Tracing that tells nobody, and tracing that remembers."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from types import TracebackType

from app.domain.model.dead_letters import Origin
from app.domain.model.ids import TaskId
from app.ports.agent_runtime import ActivityId, ActivityKind
from app.ports.tracing import RunTracer, Tracing


class _NullRunTracer(RunTracer):
    def begin(
        self,
        activity: ActivityId,
        kind: ActivityKind,
        name: str,
        parent: ActivityId | None,
        provider: str | None,
    ) -> None:
        pass

    def end(
        self,
        activity: ActivityId,
        *,
        error: str | None,
        input_tokens: int,
        output_tokens: int,
        finish_reason: str | None,
    ) -> None:
        pass


class _Nothing(AbstractContextManager[RunTracer]):
    """One for all deliveries: it holds nothing."""

    _run = _NullRunTracer()

    def __enter__(self) -> RunTracer:
        return self._run

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


class NullTracing(Tracing):
    """What a worker has when nobody asked for traces."""

    _nothing = _Nothing()

    def processing(
        self,
        origin: Origin,  # noqa: ARG002  nobody is told
        traceparent: str | None,  # noqa: ARG002
        task_id: TaskId | None,  # noqa: ARG002
        attempt: int,  # noqa: ARG002
    ) -> AbstractContextManager[RunTracer]:
        return self._nothing


@dataclass(slots=True)
class RecordedActivity:
    """One activity, as it was told; `error` is `canceled` where its end never came."""

    kind: ActivityKind
    name: str
    parent: str | None
    """The name of its parent; None where that is the run."""
    provider: str | None = None
    error: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    finish_reason: str | None = None
    over: bool = False


@dataclass(slots=True)
class RecordedRun(RunTracer):
    """One delivery and what was done in it, in the order of its beginnings."""

    origin: Origin
    traceparent: str | None
    task_id: TaskId | None
    attempt: int
    error: BaseException | None = None
    over: bool = False
    activities: list[RecordedActivity] = field(default_factory=list)
    _by_id: dict[ActivityId, RecordedActivity] = field(default_factory=dict)

    def begin(
        self,
        activity: ActivityId,
        kind: ActivityKind,
        name: str,
        parent: ActivityId | None,
        provider: str | None,
    ) -> None:
        if self.over or activity in self._by_id:
            return
        above = self._by_id.get(parent) if parent is not None else None
        begun = RecordedActivity(kind, name, above.name if above else None, provider)
        self._by_id[activity] = begun
        self.activities.append(begun)

    def end(
        self,
        activity: ActivityId,
        *,
        error: str | None,
        input_tokens: int,
        output_tokens: int,
        finish_reason: str | None,
    ) -> None:
        begun = self._by_id.get(activity)
        if begun is None or begun.over:
            return
        begun.over = True
        begun.error = error
        begun.input_tokens = input_tokens
        begun.output_tokens = output_tokens
        begun.finish_reason = finish_reason

    def close(self, error: BaseException | None) -> None:
        self.over = True
        self.error = error
        for begun in self.activities:
            if not begun.over:
                begun.over, begun.error = True, "canceled"


class RecordingTracing(Tracing):
    """Remembers every run, for tests to look at."""

    def __init__(self) -> None:
        self.runs: list[RecordedRun] = []

    @contextmanager
    def processing(
        self, origin: Origin, traceparent: str | None, task_id: TaskId | None, attempt: int
    ) -> Iterator[RunTracer]:
        run = RecordedRun(origin, traceparent, task_id, attempt)
        self.runs.append(run)
        try:
            yield run
        except BaseException as error:
            run.close(error)
            raise
        run.close(None)
