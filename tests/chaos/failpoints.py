"""Named places at which a process kills itself, put around the code from outside.

`CHAOS_FAILPOINT=result-durable:3` ends the process by SIGKILL when it comes to that place for the
third time: just there where a power cut hurts most.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

FAILPOINT = "CHAOS_FAILPOINT"

WORKER_FAILPOINTS = {
    "effect-taken": "the agent has done its work, its result is not told yet",
    "result-durable": "the result is on the log, the offset is not committed",
    "letter-durable": "a dead letter is on the log, the rejection is not",
}
PROJECTOR_FAILPOINTS = {
    "rows-written": "rows and offsets are written, the transaction is not committed",
    "rows-durable": "the transaction is committed, the projector does not know it",
}
GATEWAY_FAILPOINTS = {
    "command-durable": "the command is on the log, the client has no answer",
}


def install(wanted: str) -> None:
    """Put the failpoint named in `name:count` into this process."""
    name, _, count = wanted.partition(":")
    _PLACES[name](_Fuse(int(count or 1)))


class _Fuse:
    def __init__(self, count: int) -> None:
        self._left = count

    def burn(self) -> None:
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _after(owner: Any, name: str, fuse: _Fuse) -> None:
    """Burn the fuse after each call of an asynchronous method that returned."""
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def wrapped(*args: Any, **named: Any) -> Any:
        answer = await original(*args, **named)
        fuse.burn()
        return answer

    setattr(owner, name, wrapped)


def _effect_taken(fuse: _Fuse) -> None:
    from app.adapters.python.runtime import PythonRuntime  # noqa: PLC0415  only this process

    _after(PythonRuntime, "run", fuse)


def _result_durable(fuse: _Fuse) -> None:
    from app.domain.use_cases.run_task import RunTaskHandler  # noqa: PLC0415

    _after(RunTaskHandler, "__call__", fuse)


def _letter_durable(fuse: _Fuse) -> None:
    from app.adapters.kafka.dead_letters import KafkaDeadLetters  # noqa: PLC0415

    _after(KafkaDeadLetters, "put", fuse)


def _rows_written(fuse: _Fuse) -> None:
    from app.adapters.sql import view_store  # noqa: PLC0415

    original = view_store._save

    def saved(*args: Any) -> None:
        original(*args)
        fuse.burn()

    setattr(view_store, "_save", saved)  # noqa: B010  mypy minds assignment to a function


def _rows_durable(fuse: _Fuse) -> None:
    from app.adapters.sql.view_store import SqlViewStore  # noqa: PLC0415

    _after(SqlViewStore, "save", fuse)


def _command_durable(fuse: _Fuse) -> None:
    from app.domain.use_cases.submit_task import SubmitTaskHandler  # noqa: PLC0415

    _after(SubmitTaskHandler, "__call__", fuse)


_PLACES: dict[str, Callable[[_Fuse], None]] = {
    "effect-taken": _effect_taken,
    "result-durable": _result_durable,
    "letter-durable": _letter_durable,
    "rows-written": _rows_written,
    "rows-durable": _rows_durable,
    "command-durable": _command_durable,
}
