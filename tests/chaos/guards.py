"""Takes away, one by one, what keeps Crewline honest: so that the checker can be seen to notice.

Used by the tests of the checker alone. `CHAOS_WITHOUT=commit-after-result` runs a process as it
would be had nobody thought of that.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

WITHOUT = "CHAOS_WITHOUT"


def take_away(names: str) -> None:
    """Run this process without the guards named, separated by commas."""
    for name in names.split(","):
        _GUARDS[name]()


def _without_commit_after_result() -> None:
    """Acknowledge a task as soon as it is taken, and run it all the same."""
    from app.domain.use_cases.run_task import RunTaskHandler  # noqa: PLC0415  only this process

    original, running = RunTaskHandler.__call__, set[asyncio.Task[None]]()

    async def handle(self: RunTaskHandler, delivery: Any) -> None:
        task = asyncio.create_task(original(self, delivery))
        running.add(task)
        task.add_done_callback(running.discard)

    _put(RunTaskHandler, "__call__", handle)


def _without_dedupe() -> None:
    """Run whatever comes, known or not."""
    from app.domain.use_cases.known_tasks import KnownTasks  # noqa: PLC0415
    from app.domain.use_cases.run_task import RunTaskHandler  # noqa: PLC0415

    async def take(*_: object) -> bool:
        return True

    def release(*_: object, **__: object) -> None:
        return

    async def before(*_: object) -> None:
        return

    _put(KnownTasks, "take", take)
    _put(KnownTasks, "release", release)
    _put(RunTaskHandler, "_before", before)


def _without_rows() -> None:
    """Let the views' offsets move on, and write every other batch of rows only."""
    from app.adapters.sql import view_store  # noqa: PLC0415

    original, batches = view_store._save, iter(range(10**9))

    def save(views: Any, statements: Any, update: Any) -> None:
        if next(batches) % 2:
            original(views, statements, update)
        else:
            view_store._move(views, statements, update.before, update.after)

    _put(view_store, "_save", save)


def _without_first_ending() -> None:
    """Let the last ending in the log win, not the first."""
    from app.domain.model import progress  # noqa: PLC0415
    from app.domain.model.events import TerminalEvent  # noqa: PLC0415

    original = progress._with

    def with_(attempt: Any, event: Any, offset: int) -> Any:
        if attempt is not None and isinstance(event, TerminalEvent):
            attempt = replace(attempt, ending=None)
        return original(attempt, event, offset)

    def ending(self: progress.Progress) -> Any:
        endings = (attempt.ending for attempt in self.attempts.values() if attempt.ending)
        return max(endings, key=lambda each: each.offset, default=None)

    _put(progress, "_with", with_)
    _put(progress.Progress, "ending", property(ending))


def _put(owner: Any, name: str, replacement: Any) -> None:
    getattr(owner, name)  # a guard that has moved is to be found, not passed over
    setattr(owner, name, replacement)


_GUARDS: dict[str, Callable[[], None]] = {
    "commit-after-result": _without_commit_after_result,
    "dedupe": _without_dedupe,
    "rows": _without_rows,
    "first-ending": _without_first_ending,
}
