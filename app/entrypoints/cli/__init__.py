"""`crewline`: one command for each process, and the commands for people.

Nothing heavy is loaded before a command needs it: the command line must answer at once.
"""

import os
import sys
from typing import Annotated

import typer

from app.entrypoints.cli import people, processes
from app.entrypoints.cli.asking import with_wait_value
from app.entrypoints.cli.dlq import dlq
from app.entrypoints.cli.outcomes import told

app = typer.Typer(
    name="crewline",
    help="Event-driven AI agent workers on Kafka.",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _command in (
    people.submit,
    people.status,
    people.tail,
    people.cancel,
    people.retry,
    people.agents,
):
    app.command(rich_help_panel="For people")(_command)
app.command("list", rich_help_panel="For people")(people.list_tasks)
app.command(rich_help_panel="For people")(people.workers)
app.add_typer(dlq, name="dlq", rich_help_panel="For people")
for _process in (
    processes.dev,
    processes.gateway,
    processes.worker,
    processes.projector,
    processes.broker,
):
    app.command(rich_help_panel="Processes")(_process)
for _care in (processes.doctor, processes.rebuild):
    app.command(rich_help_panel="Care")(_care)
app.add_typer(processes.topics, name="topics", rich_help_panel="Care")


@app.callback()
def _crewline(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of  # noqa: PLC0415 - seldom needed

        typer.echo(f"crewline {version_of('crewline')}")
        raise typer.Exit


def main() -> None:
    """The console script."""
    _replace_closed_streams()
    with told():
        app(args=with_wait_value(sys.argv[1:]))


def _replace_closed_streams() -> None:
    """Python has None for a stream that was closed, as by `>&-`: nothing is read or heard there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
