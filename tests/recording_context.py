"""A run's context that remembers what it was told, for tests of runtimes."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from app.ports.agent_runtime import ActivityId, ActivityKind, RunContext


@dataclass
class Activity:
    """Something that began, and how it ended."""

    kind: ActivityKind
    name: str
    parent: ActivityId | None
    provider: str | None = None
    times_ended: int = 0
    error: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    finish_reason: str | None = None


class RecordingContext(RunContext):
    def __init__(self, attempt: int = 1) -> None:
        self._attempt = attempt
        self._canceled = False
        self.reports: list[tuple[str, float | None]] = []
        self.logs: list[tuple[str, str]] = []
        self.tokens: list[str] = []
        self.activities: dict[ActivityId, Activity] = {}
        self.something_began = asyncio.Event()

    @property
    def attempt(self) -> int:
        return self._attempt

    @property
    def canceled(self) -> bool:
        return self._canceled

    def cancel(self) -> None:
        self._canceled = True

    def idempotency_key(self, step: str) -> str:
        return f"task/{step}"

    async def report(self, message: str, progress: float | None = None) -> None:
        self.reports.append((message, progress))

    async def log(
        self, message: str, level: Literal["debug", "info", "warning", "error"] = "info"
    ) -> None:
        self.logs.append((level, message))

    async def token(self, text: str, parent: ActivityId | None = None) -> None:
        assert parent is None or parent in self.activities
        self.tokens.append(text)

    async def begin(
        self,
        kind: ActivityKind,
        name: str,
        parent: ActivityId | None = None,
        provider: str | None = None,
        *,
        lent: bool | None = None,
    ) -> ActivityId:
        assert parent is None or self.activities[parent].times_ended == 0, "its parent is over"
        activity = f"{len(self.activities) + 1}"
        self.activities[activity] = Activity(kind, name, parent, provider)
        self.something_began.set()
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
        ended = self.activities[activity]
        ended.times_ended += 1
        ended.error = error
        ended.input_tokens = input_tokens or 0
        ended.output_tokens = output_tokens or 0
        ended.cached_tokens = cached_tokens
        ended.finish_reason = finish_reason

    def unpaired(self) -> list[Activity]:
        """What did not end exactly once."""
        return [each for each in self.activities.values() if each.times_ended != 1]

    def named(self, kind: ActivityKind) -> list[str]:
        return [each.name for each in self.activities.values() if each.kind == kind]
