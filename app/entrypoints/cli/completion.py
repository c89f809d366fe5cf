"""What the shell offers at the tab key: agents, states, and ids, asked of the gateway.

`crewline --install-completion` switches it on. A gateway that does not answer within a second
offers nothing: a shell shows no error while somebody types.
"""

# ruff: noqa: PLC0415 - what this needs is loaded when something is asked
import os
from collections.abc import Callable
from typing import Any

import typer

from app.domain.model.lifecycle import TaskState

DEFAULT_URL = "http://127.0.0.1:8000"
_PATIENCE = 1.0
_AT_MOST = 50
Choices = list[tuple[str, str]]
"""Values that fit, each with what the shell shows beside it."""


def agents(ctx: typer.Context, incomplete: str) -> Choices:
    return _fitting(ctx, "/v1/agents", incomplete, lambda agent: (agent["name"], _about(agent)))


def tasks(ctx: typer.Context, incomplete: str) -> Choices:
    return _tasks(ctx, incomplete, None)


def live_tasks(ctx: typer.Context, incomplete: str) -> Choices:
    return _tasks(ctx, incomplete, [state for state in TaskState if not state.terminal])


def failed_tasks(ctx: typer.Context, incomplete: str) -> Choices:
    return _tasks(ctx, incomplete, [TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED])


def dead_letters(ctx: typer.Context, incomplete: str) -> Choices:
    path = f"/v1/dead-letters?limit={_AT_MOST}&state=waiting"
    return _fitting(ctx, path, incomplete, lambda letter: (letter["id"], letter["reason"]))


def states(incomplete: str) -> Choices:
    """The states of tasks; of several by commas the last is completed."""
    before, comma, last = incomplete.rpartition(",")
    return [(f"{before}{comma}{state}", "") for state in TaskState if state.startswith(last)]


def reasons(incomplete: str) -> Choices:
    from app.domain.model.dead_letters import DeadLetterReason

    return [(reason, "") for reason in DeadLetterReason if reason.startswith(incomplete)]


def _tasks(ctx: typer.Context, incomplete: str, states: list[TaskState] | None) -> Choices:
    path = f"/v1/tasks?limit={_AT_MOST}" + (f"&state={','.join(states)}" if states else "")
    return _fitting(
        ctx, path, incomplete, lambda task: (task["id"], f"{task['agent']}, {task['state']}")
    )


def _about(agent: dict[str, Any]) -> str:
    return str(agent["description"]).partition("\n")[0]


def _fitting(
    ctx: typer.Context,
    path: str,
    incomplete: str,
    read: Callable[[dict[str, Any]], tuple[str, str]],
) -> Choices:
    import httpx

    url = ctx.params.get("url") or os.environ.get("CREWLINE_URL") or DEFAULT_URL
    try:
        answer = httpx.get(f"{url.rstrip('/')}{path}", timeout=_PATIENCE)
        found = [read(item) for item in answer.raise_for_status().json()["items"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError):
        return []
    return [(value, about) for value, about in found if value.startswith(incomplete)]
