"""Hand a task in, ask for it, follow it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TextIO

from app.entrypoints.cli.artifacts import save
from app.entrypoints.cli.asking import TaskAsked, wait_seconds
from app.entrypoints.cli.connection import Gateway, Json, me, segment
from app.entrypoints.cli.events import EventWriter
from app.entrypoints.cli.following import Unattended, await_task, ended, follow, known
from app.entrypoints.cli.outcomes import Exit, ending, leave, stopping, told
from app.entrypoints.cli.progress import Progress
from app.entrypoints.cli.shown import show_accepted, show_json, show_task
from app.entrypoints.terminal import printable


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done about a task's outcome."""

    waiting: bool
    seconds: float | None
    """How long to wait at most; None for as long as it takes."""
    output: Path | None
    as_json: bool

    @classmethod
    def of(
        cls, wait: str | None, output: Path | None, *, as_json: bool, waiting: bool = False
    ) -> "Wanted":
        """As `--wait`, `--output` and `--json` say; `waiting` where something else asks for it."""
        return cls(waiting or wait is not None, wait_seconds(wait), output, as_json)


def submit(url: str, asked: TaskAsked, wanted: Wanted, *, following: bool) -> None:
    """Hand the task in; then follow it and wait for it, where that is wanted."""
    gateway = Gateway(url)
    with Progress(f"handing it to {asked.agent}"):
        if_lost = "the task may have been accepted: repeat safely with --idempotency-key"
        task, _ = gateway.post("/v1/tasks", asked.body, asked.headers, if_lost)
    unattended = Unattended()
    unattended.look(task)
    if following:
        _follow(gateway, str(task["id"]), sys.stderr)
    if following or wanted.waiting:
        _finish(gateway, task, wanted, unattended)
    if wanted.as_json:
        show_json(task)
    else:
        show_accepted(task)


def status(url: str, task_id: str, wanted: Wanted) -> NoReturn:
    """Show the task, once it has ended where that is wanted."""
    gateway = Gateway(url)
    with Progress("asking") as progress:
        task = known(gateway, task_id, wanted.seconds if wanted.waiting else 0, progress)
    if wanted.waiting:
        _finish(gateway, task, wanted)
    _show(task, wanted)
    code = ending(task.get("state"))
    leave(Exit.DONE if code is Exit.NOT_FINISHED else code)


def tail(url: str, task_id: str, *, as_json: bool) -> NoReturn:
    """Show the task's events to the last, and end as the task did."""
    gateway = Gateway(url)
    with Progress("asking") as progress:
        known(gateway, task_id, None, progress)  # it exists, or we say so before we follow
    _follow(gateway, task_id, sys.stdout, as_json=as_json)
    with Progress("asking") as progress:
        task = known(gateway, task_id, None, progress)
    leave(ending(task.get("state")))


def cancel(url: str, task_id: str, reason: str | None, wanted: Wanted) -> NoReturn:
    """Have the task stopped; where that is wanted, wait until it has, or has ended otherwise."""
    gateway = Gateway(url)
    with Progress("asking"):
        body = {} if reason is None else {"reason": reason}
        if_lost = "asking again is harmless"
        task, _ = gateway.post(f"{_path(task_id)}/cancel", body, {}, if_lost)
    if not wanted.waiting:
        _show(task, wanted)
        leave(Exit.DONE)
    advice = f"it is being canceled; wait for it with: crewline status {task_id} --wait"
    with told(lambda: advice), Progress("canceling") as progress:
        task = await_task(gateway, task, wanted.seconds, progress, ended)
    _show(task, wanted)
    leave(stopping(task.get("state")))


def retry(url: str, task_id: str, wanted: Wanted) -> NoReturn:
    """Have the task run again; where that is wanted, wait until it has ended."""
    gateway = Gateway(url)
    with Progress("asking"):
        if_lost = "repeat it: what was done is not done twice"
        task, _ = gateway.post(f"{_path(task_id)}/retry", {"by": me()}, {}, if_lost)
    if wanted.waiting:
        _finish(gateway, task, wanted)
    _show(task, wanted)
    leave(Exit.DONE)


def _path(task_id: str) -> str:
    return f"/v1/tasks/{segment(task_id)}"


def _follow(gateway: Gateway, task_id: str, stream: TextIO, *, as_json: bool = False) -> None:
    writer = EventWriter(stream, as_json=as_json)
    with (
        told(lambda: f"the task goes on; follow it again with: crewline tail {task_id}"),
        Progress("waiting for news") as progress,
    ):
        for event in follow(gateway, task_id, progress):
            progress.stop()
            writer.write(event)
        writer.close()


def _finish(
    gateway: Gateway, task: Json, wanted: Wanted, unattended: Unattended | None = None
) -> NoReturn:
    """Wait, show the outcome, and end with its exit code."""
    advice = f"the task goes on; wait for it with: crewline status {task['id']} --wait"
    with told(lambda: advice), Progress(str(task.get("state"))) as progress:
        over = (unattended or Unattended()).until_settled
        task = await_task(gateway, task, wanted.seconds, progress, over)
    _show(task, wanted)
    leave(ending(task.get("state")))


def _show(task: Json, wanted: Wanted) -> None:
    files = save(task, wanted.output) if wanted.output else []
    if wanted.as_json:
        show_json(task)
    else:
        show_task(task)
    for file in files:
        sys.stderr.write(f"saved {printable(str(file))}\n")
