"""The commands for people: they talk to a gateway over HTTP. Here is how they look.

What they do is loaded when one of them runs, so that `crewline --help` costs next to nothing.
"""

# ruff: noqa: PLC0415 - see above
from pathlib import Path
from typing import Annotated

import typer

from app.domain.model.priorities import Priority
from app.entrypoints.cli import completion
from app.entrypoints.cli.completion import DEFAULT_URL
from app.entrypoints.cli.outcomes import told

Url = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="CREWLINE_URL",
        show_envvar=False,
        help="The gateway's address; also CREWLINE_URL.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for machines.")]
Wait = Annotated[
    str | None,
    typer.Option(
        "--wait",
        metavar="[SECONDS]",
        help="Wait until it has ended, or for so many seconds at most.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="DIR", help="Save the artifacts as files in this folder."),
]
TaskId = Annotated[
    str, typer.Argument(metavar="ID", help="The task's id.", autocompletion=completion.tasks)
]


def submit(
    agent: Annotated[
        str,
        typer.Argument(
            metavar="AGENT",
            help="Who is to do it; `crewline agents` lists them.",
            autocompletion=completion.agents,
        ),
    ],
    text: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="What to do; `-` reads standard input, `@file` a file."
        ),
    ],
    *,
    wait: Wait = None,
    follow: Annotated[bool, typer.Option("--follow", help="Show what it does until it ends.")] = (
        False
    ),
    input_json: Annotated[
        bool, typer.Option("--input-json", help="INPUT is a JSON object.")
    ] = False,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A parameter; JSON values are understood."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A label to find it by.")
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(metavar="NAME", help="How to run it: rules, crewai, …")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="PROVIDER:NAME", help="Its model.")] = None,
    context_id: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The conversation it belongs to; kept in order."),
    ] = None,
    priority: Annotated[
        Priority | None, typer.Option(help="What waits begins in this order; normal unless set.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long one run may take.")
    ] = None,
    not_before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Not to begin sooner: 2026-01-31T08:00Z, or +90s, +2h."),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="What it may spend: tokens, model_calls, cost_usd."
        ),
    ] = None,
    task_id: Annotated[
        str | None, typer.Option("--id", metavar="UUID", help="Its id, chosen by you.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Repeating with the same key is harmless.")
    ] = None,
    output: Output = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Hand a task to an agent."""
    with told():
        from app.entrypoints.cli import asking, tasks

        asked = asking.TaskAsked(
            agent=agent,
            input=asking.task_input(text, as_json=input_json),
            options={
                "parameters": asking.parameters(param or []),
                "labels": asking.pairs("--label", label or []),
                "priority": priority,
                "runtime": runtime,
                "model": model,
                "context_id": context_id,
                "timeout_seconds": timeout,
                "not_before": asking.moment("--not-before", not_before),
                "budget": asking.budget(budget or []),
                "id": task_id,
            },
            idempotency_key=asking.idempotency_key(idempotency_key),
        )
        outcome = tasks.Wanted.of(wait, output, as_json=as_json, waiting=output is not None)
        tasks.submit(url, asked, outcome, following=follow)


def status(
    task_id: TaskId,
    *,
    wait: Wait = None,
    output: Output = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Show how a task stands and what it made."""
    with told():
        from app.entrypoints.cli import tasks

        outcome = tasks.Wanted.of(wait, output, as_json=as_json)
        tasks.status(url, task_id, outcome)


def tail(task_id: TaskId, *, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show a task's events as they happen, from its first to its last."""
    with told():
        from app.entrypoints.cli import tasks

        tasks.tail(url, task_id, as_json=as_json)


def cancel(
    task_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The task's id.", autocompletion=completion.live_tasks),
    ],
    *,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why, for whoever looks at it later.")
    ] = None,
    wait: Wait = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Stop a task, or have it never start."""
    with told():
        from app.entrypoints.cli import tasks

        outcome = tasks.Wanted.of(wait, None, as_json=as_json)
        tasks.cancel(url, task_id, reason, outcome)


def retry(
    task_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The task's id.", autocompletion=completion.failed_tasks),
    ],
    *,
    wait: Wait = None,
    output: Output = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Run a task again that failed, was canceled or was rejected."""
    with told():
        from app.entrypoints.cli import tasks

        outcome = tasks.Wanted.of(wait, output, as_json=as_json, waiting=output is not None)
        tasks.retry(url, task_id, outcome)


def list_tasks(
    *,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            help="submitted, working, input-required, completed, …; several by commas.",
            autocompletion=completion.states,
        ),
    ] = None,
    created_after: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Handed in later: 2026-01-31T08:00Z, or 90s, 2h ago."),
    ] = None,
    created_before: Annotated[
        str | None, typer.Option(metavar="TIME", help="Handed in earlier, told alike.")
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this agent's.", autocompletion=completion.agents),
    ] = None,
    context_id: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only this conversation's.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only with this label.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List tasks, the newest first."""
    with told():
        from app.entrypoints.cli import asking, listing

        query = {
            "state": ",".join(state) if state else None,
            "agent": agent,
            "context_id": context_id,
            "created_after": asking.past("--created-after", created_after),
            "created_before": asking.past("--created-before", created_before),
        }
        labels = asking.pairs("--label", label or [])
        listing.list_tasks(url, query, labels, limit, as_json=as_json)


def agents(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Everything about this one.", autocompletion=completion.agents
        ),
    ] = None,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List the agents there are, or show one."""
    with told():
        from app.entrypoints.cli import listing

        listing.agents(url, name, as_json=as_json)


def workers(*, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """List the workers, and what each has in hand."""
    with told():
        from app.entrypoints.cli import listing

        listing.workers(url, as_json=as_json)
