"""`crewline dlq`: dead letters, for whoever looks after them. Here is how the commands look."""

# ruff: noqa: PLC0415 - what they do is loaded when one of them runs
from typing import Annotated

import typer

from app.entrypoints.cli import completion
from app.entrypoints.cli.completion import DEFAULT_URL
from app.entrypoints.cli.outcomes import told
from app.entrypoints.cli.people import AsJson, Url

LetterId = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="The dead letter's id.", autocompletion=completion.dead_letters
    ),
]
Agent = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Only this agent's.", autocompletion=completion.agents),
]
Reason = Annotated[
    str | None,
    typer.Option(
        metavar="REASON",
        help="Only those: retries-exhausted, undecodable, poison, …",
        autocompletion=completion.reasons,
    ),
]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Set aside then or later.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Set aside before then.")]

dlq = typer.Typer(help="Look at dead letters, and redrive or discard them.", no_args_is_help=True)


@dlq.command("list")
def list_letters(
    *,
    agent: Agent = None,
    reason: Reason = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="waiting, redriven or discarded.")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List dead letters, the newest first."""
    with told():
        from app.entrypoints.cli import letters

        query = {"agent": agent, "reason": reason, "since": since, "until": until, "state": state}
        letters.list_letters(url, query, limit, as_json=as_json)


@dlq.command()
def show(
    letter_id: LetterId,
    *,
    value: Annotated[
        bool, typer.Option("--value", help="Write just the message's value, byte for byte.")
    ] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Show a dead letter: its message, why it lies there, and the runs of its task."""
    with told():
        from app.entrypoints.cli import letters

        letters.show(url, letter_id, value_only=value, as_json=as_json)


@dlq.command()
def redrive(
    letter_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The dead letter's id; or use --all.")
    ] = None,
    *,
    edit: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Send this task's body instead; `-` reads standard input."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Redrive all that wait and fit, the oldest first.")
    ] = False,
    agent: Agent = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    rate: Annotated[
        float, typer.Option(min=0.01, max=1_000, help="With --all: how many a second.")
    ] = 10,
    limit: Annotated[int, typer.Option(min=1, help="With --all: how many at most.")] = 1_000,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Send a dead letter's message again, under the same task id and in the same trace."""
    with told():
        from app.entrypoints.cli import letters

        wanted = {"agent": agent, "reason": reason, "since": since, "until": until}
        given = {name: value for name, value in wanted.items() if value is not None}
        letters.check_choice(letter_id, given, edit, everything=everything)
        if letter_id is None:
            letters.redrive_many(url, given, rate, limit, as_json=as_json)
        else:
            letters.redrive(url, letter_id, edit, as_json=as_json)


@dlq.command()
def discard(
    letter_id: LetterId,
    *,
    comment: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why, for whoever looks at it later.")
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Say that nothing is to come of a dead letter; it stays to be read."""
    with told():
        from app.entrypoints.cli import letters

        letters.discard(url, letter_id, comment, as_json=as_json)
