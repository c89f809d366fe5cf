"""A task's attempts, one line each, where it needed more than one."""

from app.entrypoints.cli.connection import Json
from app.entrypoints.terminal import printable


def attempt_rows(task: Json) -> list[list[str]]:
    """Number, state, worker, begin and failure of each attempt; nothing where the first was all."""
    attempts = task.get("attempts") or []
    return [_row(each) for each in attempts] if len(attempts) > 1 else []


def _row(attempt: Json) -> list[str]:
    error = attempt.get("error") or {}
    failure = f"{error.get('message')} ({error.get('code')})" if error else ""
    cells = [
        f"attempt {attempt.get('number')}",
        attempt.get("state"),
        attempt.get("worker_id"),
        str(attempt.get("started_at") or "")[:19],
        failure,
    ]
    return [printable(" ".join(str(cell or "").split())) for cell in cells]
