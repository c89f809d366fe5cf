"""Wait for a task, or follow what it does, through every interruption but the person's own."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.entrypoints.cli.connection import Gateway, Json, segment
from app.entrypoints.cli.outcomes import CommandFailed, Exit, complain
from app.entrypoints.cli.progress import Progress

_ENDED = frozenset({"completed", "failed", "canceled", "rejected"})
_SETTLED = _ENDED | {"input-required"}
_LOOK = 5.0
"""Seconds one question waits at the gateway; short, so that progress is seen."""
_GIVE_UP = 60.0
"""Seconds without an answer after which a gateway that did answer counts as gone."""


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One event of a task's stream."""

    id: str
    type: str
    """Without prefix and version: `task.started`, `trace.token`."""
    data: Json

    @property
    def ends(self) -> bool:
        kind, _, what = self.type.partition(".")
        return kind == "task" and what in _ENDED


def settled(task: Json) -> bool:
    """Whether waiting longer is no use: the task has ended, or asks a person something."""
    return task.get("state") in _SETTLED


def ended(task: Json) -> bool:
    """Whether nothing will happen to the task any more."""
    return task.get("state") in _ENDED


class Unattended:
    """Says once, to whoever hands a task in, that it waits and no live worker can run it."""

    def __init__(self) -> None:
        self._said = False

    def look(self, task: Json) -> None:
        message = task.get("status_message")
        if "no live worker" in str(message) and not self._said:
            self._said = True
            complain(str(message))

    def until_settled(self, task: Json) -> bool:
        """`settled`, with a look at each answer on the way."""
        self.look(task)
        return settled(task)


def known(gateway: Gateway, task_id: str, seconds: float | None, progress: Progress) -> Json:
    """The task, once the views have read of it: one accepted just now they may not know yet."""
    patience = _GIVE_UP if seconds is None else min(seconds, _GIVE_UP)
    deadline = time.monotonic() + patience
    while True:
        try:
            return gateway.get(f"/v1/tasks/{segment(task_id)}")[0]
        except CommandFailed as failure:
            if failure.problem != "views-behind" or time.monotonic() >= deadline:
                raise
        progress.say("the views have not read of it yet; asking again")
        _pause(1, deadline)


def await_task(
    gateway: Gateway,
    task: Json,
    seconds: float | None,
    progress: Progress,
    over: Callable[[Json], bool] = settled,
) -> Json:
    """The task once it is `over`, or as it stands after so many seconds (None: however long)."""
    deadline = None if seconds is None else time.monotonic() + seconds
    answered = time.monotonic()
    while not over(task):
        left = _LOOK if deadline is None else deadline - time.monotonic()
        if left <= 0:
            break
        asked = time.monotonic()
        try:
            task, headers = gateway.get(f"/v1/tasks/{task['id']}", wait=min(_LOOK, left))
        except CommandFailed as failure:
            if not _passes(failure) or asked - answered > _GIVE_UP:
                raise
            progress.say("the gateway cannot say now; trying again")
            _pause(1, deadline)
            continue
        answered = time.monotonic()
        progress.say(_standing(task))
        if not over(task) and answered - asked < 0.5:  # it did not wait, so we do
            _pause(_number(headers.get("Retry-After"), 1), deadline)
    return task


def follow(gateway: Gateway, task_id: str, progress: Progress) -> Iterator[TaskEvent]:
    """Every event of a task to its last, each once, resuming where a connection broke."""
    last, over, pause = "", False, 0.2
    heard = time.monotonic()
    while True:
        news = False
        try:
            with gateway.lines(f"/v1/tasks/{task_id}/events", _after(last)) as lines:
                for event in parse(lines):
                    news, last = True, event.id or last
                    heard, pause = time.monotonic(), 0.2
                    yield event
                    over = event.ends
            if not news and (over or _ended(gateway, task_id)):
                return
            if over:
                continue  # it has ended, unless it was redriven since: then there is more
        except CommandFailed as failure:
            lost = time.monotonic() - heard > _GIVE_UP
            if not _passes(failure) or lost:
                raise
            progress.say("the stream broke; resuming")
        time.sleep(pause)
        pause = min(pause * 2, 5)


def _passes(failure: CommandFailed) -> bool:
    """Whether it may be over in a moment.

    What is followed is known to exist: where the gateway does not know it, the views are behind.
    """
    return failure.code is Exit.UNREACHABLE or failure.problem == "unknown-task"


def _after(event_id: str) -> dict[str, str]:
    return {"Last-Event-ID": event_id} if event_id else {}


def _ended(gateway: Gateway, task_id: str) -> bool:
    task, _ = gateway.get(f"/v1/tasks/{task_id}")
    return task.get("state") in _ENDED


def parse(lines: Iterator[str]) -> Iterator[TaskEvent]:
    """The events in an event stream; comments and what is no JSON object are passed over."""
    event_id, name, data = "", "", list[str]()
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "id":
                event_id = value
            case "event":
                name = value
            case "data":
                data.append(value)
            case "" if not line:
                if (body := _object("\n".join(data))) is not None:
                    yield TaskEvent(event_id, _kind(name or str(body.get("type", ""))), body)
                name, data = "", []


def _kind(name: str) -> str:
    stem, _, version = name.rpartition(".")
    return (stem if version[1:].isdigit() else name).removeprefix("crewline.")


def _object(text: str) -> Json | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _standing(task: Json) -> str:
    said = task.get("status_message") or task.get("reason")
    return f"{task.get('state')}: {said}" if said else str(task.get("state"))


def _pause(seconds: float, deadline: float | None) -> None:
    left = seconds if deadline is None else deadline - time.monotonic()
    time.sleep(max(0, min(seconds, left)))


def _number(text: str | None, otherwise: float) -> float:
    try:
        return min(float(text or ""), 10)
    except ValueError:
        return otherwise
