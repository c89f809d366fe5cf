"""The child process of one run: does the work, and asks its worker for everything else."""

import asyncio
import logging
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from pydantic_core import to_json

from app.adapters.isolation.channel import Channel
from app.adapters.isolation.errors import told
from app.adapters.isolation.frames import Frame, FrameTooLarge, largest, receive_bytes
from app.adapters.isolation.models import ModelsOfTheWorker
from app.domain.model.agents import AgentSpec
from app.domain.model.errors import PayloadTooLarge, RunFailed
from app.domain.model.readable import as_text, outcome_of
from app.ports.agent_runtime import (
    ActivityId,
    ActivityKind,
    AgentRuntime,
    RunContext,
    StopReason,
    TaskInput,
)
from app.ports.chat_model import ChatModels
from app.ports.result_spool import ResultSpool
from app.ports.run_identity import RunIdentity, dedicate_process

_SHOWN = 1_000
"""Bytes that are told of a result which is too large for that."""
BuildRuntime = Callable[[ChatModels], AgentRuntime]
"""Makes the runtime in the child, with the worker's models; it must be picklable."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a child is to do."""

    build: BuildRuntime
    spec: AgentSpec
    task: TaskInput
    attempt: int
    max_result_bytes: int | None = None
    spool: ResultSpool | None = None
    """Keeps a result that is larger than the worker reads."""


def main(sock: socket.socket) -> NoReturn:
    """Do what the worker at the other end assigns, tell the outcome, and end."""
    sent = receive_bytes(sock)
    if sent is None:
        os._exit(0)  # it changed its mind
    assignment: Assignment = pickle.loads(sent)  # noqa: S301  # from our own worker
    dedicate_process(RunIdentity(assignment.task.task_id, assignment.spec.name, assignment.attempt))
    channel = Channel(sock, largest(assignment.max_result_bytes))
    asyncio.run(_run(assignment, channel))
    os._exit(70)


async def _run(assignment: Assignment, channel: Channel) -> NoReturn:
    """Ends the process as soon as the outcome is told: what still runs in threads ends with it."""
    outcome = await _outcome(assignment, channel)
    try:
        channel.send(outcome)
    except FrameTooLarge as error:
        channel.send({"error": told(await _too_large(assignment, outcome, error))})
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


async def _too_large(assignment: Assignment, outcome: Frame, error: FrameTooLarge) -> RunFailed:
    """What a run fails with whose result its worker does not read: where that lies instead."""
    if "result" not in outcome:
        return RunFailed("agent-error", f"its error has {error}", retryable=False)
    whole, kept = to_json(outcome["result"]), None
    if assignment.spool is not None:
        kept = await assignment.spool.keep(assignment.task.task_id, assignment.attempt, whole)
    where = f"all of it is kept in {kept}" if kept else "it is not kept"
    begins = as_text(whole[:_SHOWN].decode(errors="replace"))
    message = f"the result is too large: it has {error}; {where}; it begins: {begins}"
    return RunFailed(PayloadTooLarge.code, message, retryable=False)


async def _outcome(assignment: Assignment, channel: Channel) -> Frame:
    try:
        runtime = assignment.build(ModelsOfTheWorker(channel))
        context = ChildContext(channel, assignment.attempt, assignment.max_result_bytes)
        work = outcome_of(runtime.run(assignment.spec, assignment.task, context))
        working = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
        result = await working
    except asyncio.CancelledError:
        return {"canceled": True}
    except Exception as error:  # noqa: BLE001  # whatever it is, the worker hears of it
        return {"error": told(error)}
    return {"result": result.model_dump(mode="json", by_alias=True)}


class ChildContext(RunContext):
    """Passes everything on to the run's own context, in the worker."""

    def __init__(self, channel: Channel, attempt: int, max_result_bytes: int | None = None) -> None:
        self._channel = channel
        self._attempt = attempt
        self._max_result_bytes = max_result_bytes

    @property
    def attempt(self) -> int:
        return self._attempt

    @property
    def max_result_bytes(self) -> int | None:
        return self._max_result_bytes

    @property
    def canceled(self) -> bool:
        return self.stop_reason is not None

    @property
    def stop_reason(self) -> StopReason | None:
        reason = self._channel.ask_now("stop_reason")
        return StopReason(reason) if reason else None

    def idempotency_key(self, step: str) -> str:
        return str(self._channel.ask_now("idempotency_key", step=step))

    async def report(self, message: str, progress: float | None = None) -> None:
        await self._channel.ask("report", message=message, progress=progress)

    async def log(
        self, message: str, level: Literal["debug", "info", "warning", "error"] = "info"
    ) -> None:
        await self._channel.ask("log", message=message, level=level)

    async def token(self, text: str, parent: ActivityId | None = None) -> None:
        await self._channel.ask("token", text=text, parent=parent)

    async def begin(
        self,
        kind: ActivityKind,
        name: str,
        parent: ActivityId | None = None,
        provider: str | None = None,
        *,
        lent: bool | None = None,
    ) -> ActivityId:
        about: dict[str, Any] = {"kind": kind, "name": name, "parent": parent, "provider": provider}
        if lent is not None:
            about["lent"] = lent
        return str(await self._channel.ask("begin", **about))

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
        how: dict[str, Any] = {} if counted else {"counted": False}
        await self._channel.ask(
            "end",
            activity=activity,
            error=error,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=cached_tokens,
            finish_reason=finish_reason,
            **how,
        )

    def within_budget(self, models: ChatModels) -> ChatModels:  # noqa: ARG002
        return ModelsOfTheWorker(self._channel)  # it is the worker that keeps budgets
