"""`crewline topics`: what the topics should be, and making them so."""

import asyncio
import json

import typer

from app.entrypoints.bootstrap.agents import catalog_of
from app.entrypoints.bootstrap.kafka_broker import broker_of
from app.entrypoints.settings import Settings


def run(settings: Settings, *, apply: bool, as_json: bool) -> int:
    """Print the changes, a line each, and make them where `apply` says so."""
    broker, catalog = broker_of(settings), catalog_of(settings)
    changes = asyncio.run(broker.provision(catalog, apply=apply))
    if as_json:
        typer.echo(json.dumps({"applied": apply, "changes": list(changes)}))
        return 0
    for change in changes:
        typer.echo(change)
    if not changes:
        typer.echo("The topics are as they should be.")
    elif not apply:
        typer.echo("`crewline topics apply` does it.")
    return 0
