"""Spans around a run, in whatever tracing system listens."""

from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import Protocol

from app.domain.model.dead_letters import Origin
from app.domain.model.ids import TaskId
from app.ports.agent_runtime import ActivityId, ActivityKind


class RunTracer(Protocol):
    """Follows the activities of one run."""

    @abstractmethod
    def begin(
        self,
        activity: ActivityId,
        kind: ActivityKind,
        name: str,
        parent: ActivityId | None,
        provider: str | None,
    ) -> None:
        """An activity starts under its parent, or under the run."""

    @abstractmethod
    def end(
        self,
        activity: ActivityId,
        *,
        error: str | None,
        input_tokens: int,
        output_tokens: int,
        finish_reason: str | None,
    ) -> None:
        """It is over."""


class Tracing(Protocol):
    @abstractmethod
    def processing(
        self, origin: Origin, traceparent: str | None, task_id: TaskId | None, attempt: int
    ) -> AbstractContextManager[RunTracer]:
        """Cover the processing of one delivery, as a child of the context it travelled with."""
