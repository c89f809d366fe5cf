"""List tasks, through as many pages as it takes, and agents."""

from collections.abc import Mapping

from app.entrypoints.cli.connection import Gateway, Json, segment
from app.entrypoints.cli.progress import Progress
from app.entrypoints.cli.shown import show_agent, show_agents, show_json, show_tasks
from app.entrypoints.cli.shown_fleet import show_workers

_PAGE = 100


def list_tasks(
    url: str,
    query: Mapping[str, str | None],
    labels: Mapping[str, str],
    limit: int,
    *,
    as_json: bool,
) -> None:
    """Show the newest tasks that fit."""
    wanted = [(name, value) for name, value in query.items() if value is not None]
    wanted += [("label", f"{name}:{value}") for name, value in labels.items()]
    gateway = Gateway(url)
    found: list[Json] = []
    cursor: str | None = None
    with Progress("asking") as progress:
        while len(found) < limit:
            page = [("limit", str(min(_PAGE, limit - len(found))))]
            page += [("cursor", cursor)] if cursor else []
            answer, _ = gateway.get("/v1/tasks", [*wanted, *page])
            found += answer.get("items", [])
            cursor = answer.get("next_cursor")
            if not cursor:
                break
            progress.say(f"{len(found)} tasks so far")
    if as_json:
        show_json({"items": found[:limit], "next_cursor": cursor})
    else:
        show_tasks(found[:limit])


def workers(url: str, *, as_json: bool) -> None:
    """Show the workers there are."""
    with Progress("asking"):
        found, _ = Gateway(url).get("/v1/workers")
    if as_json:
        show_json(found)
    else:
        show_workers(found)


def agents(url: str, name: str | None, *, as_json: bool) -> None:
    """Show the agents there are, or everything about one."""
    gateway = Gateway(url)
    path = "/v1/agents" if name is None else f"/v1/agents/{segment(name)}"
    with Progress("asking"):
        found, _ = gateway.get(path)
    if as_json:
        show_json(found)
    elif name is not None:
        show_agent(found)
    else:
        show_agents(found.get("items", []))
