"""The commands that run Crewline's own processes: options become settings, then one function runs.

Every such function takes the settings first and returns an exit code. Its module is loaded when
the command is used, never before.
"""

# ruff: noqa: PLC0415
import gc
import logging
from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from app.entrypoints.cli.outcomes import CommandFailed, Exit, leave, told

SEAMS: Mapping[str, str] = MappingProxyType(
    {
        "gateway": "app.entrypoints.gateway.serving",
        "worker": "app.entrypoints.worker",
        "projector": "app.entrypoints.projector",
        "dev": "app.entrypoints.dev",
        "broker": "app.entrypoints.local_broker",
        "topics": "app.entrypoints.topics",
        "rebuild": "app.entrypoints.rebuild",
        "doctor": "app.entrypoints.doctor",
    }
)
"""Where each command's `run` lives."""

_LONG_LIVED = ("gateway", "worker", "projector", "dev")
"""Commands that run code of others, or until they are told to stop."""

_TOLD_BY_US = ("topics", "rebuild", "doctor")
"""Commands that say themselves, in a line, what is wrong with the broker."""

Model = Annotated[
    str | None,
    typer.Option(metavar="PROVIDER:NAME", help="Model for agents and tasks that name none."),
]
Catalog = Annotated[
    list[str] | None, typer.Option(metavar="DIR", help="A folder of your agents' YAML files.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for machines.")]

topics = typer.Typer(help="Look after the topics.", no_args_is_help=True)


class Broker(StrEnum):
    EMBEDDED = "embedded"
    KAFKA = "kafka"
    MEMORY = "memory"


def gateway(
    *,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", min=0, max=65535, help="Port to listen on.")
    ] = None,
    catalog: Catalog = None,
) -> None:
    """Serve HTTP: take tasks in, answer from the views."""
    _run("gateway", {"gateway": {"host": host, "port": port}, **_folders(catalog)})


def worker(
    *,
    agents: Annotated[
        str | None, typer.Option(metavar="A,B", help="Agents to run; all by default.")
    ] = None,
    runtimes: Annotated[
        str | None, typer.Option(metavar="X,Y", help="Ways to run them: rules, python, crewai.")
    ] = None,
    slots: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many tasks at once.")
    ] = None,
    worker_id: Annotated[
        str | None,
        typer.Option("--id", metavar="NAME", help="Its identity, which no two workers may share."),
    ] = None,
    catalog: Catalog = None,
    model: Model = None,
) -> None:
    """Run tasks."""
    given = {"agents": agents, "runtimes": runtimes, "slots": slots, "id": worker_id}
    _run("worker", {"worker": {**given, "model": model}, **_folders(catalog)})


def projector() -> None:
    """Keep the views up to date."""
    _run("projector", {})


def dev(
    *,
    broker: Annotated[
        str,
        typer.Option(
            metavar="BROKER",
            help="embedded, kafka or memory is started here; host:port is used.",
        ),
    ] = Broker.EMBEDDED,
    port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=0, max=65535, help="Port for HTTP; 8000 unless set."),
    ] = None,
    kafka_port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Port for Kafka.")
    ] = 9092,
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Where everything is kept.", file_okay=False)
    ] = Path(".crewline"),
    catalog: Catalog = None,
    model: Model = None,
) -> None:
    """Run everything in one command, for trying out and developing."""
    with told():
        if broker not in set(Broker) and not _is_address(broker):
            message = f"--broker: {broker!r} is not embedded, kafka, memory or host:port"
            raise CommandFailed(message, Exit.USAGE)
    overrides: dict[str, dict[str, object]] = {
        "gateway": {"port": port},
        **_folders(catalog),
        "worker": {"model": model},
    }
    _run("dev", overrides, broker=broker, kafka_port=kafka_port, data=data)


def broker(
    *,
    kind: Annotated[
        str,
        typer.Option("--kind", metavar="KIND", help="kafka (Java 17 and Maven) or embedded."),
    ] = Broker.KAFKA,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=1, max=65535, help="Port to listen on.")
    ] = 9092,
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Where Kafka keeps its records.", file_okay=False)
    ] = Path(".crewline/broker"),
) -> None:
    """Run a Kafka broker on this machine, for separate processes without Docker."""
    with told():
        if kind not in {Broker.KAFKA, Broker.EMBEDDED}:
            raise CommandFailed(f"--kind: {kind!r} is not kafka or embedded", Exit.USAGE)
    _run("broker", {}, kind=kind, port=port, data=data)


@topics.command()
def plan(*, catalog: Catalog = None, as_json: AsJson = False) -> None:
    """Show what `apply` would do."""
    _run("topics", _folders(catalog), apply=False, as_json=as_json)


@topics.command()
def apply(*, catalog: Catalog = None, as_json: AsJson = False) -> None:
    """Make the topics that are missing, and mend settings that differ."""
    _run("topics", _folders(catalog), apply=True, as_json=as_json)


def rebuild(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare the views with the log.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before something is lost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the views anew from the log; what the log no longer holds is lost from them."""
    _run("rebuild", {}, check=check, yes=yes, as_json=as_json)


def doctor(*, catalog: Catalog = None, model: Model = None, as_json: AsJson = False) -> None:
    """Check broker, topics, store and models, and say what to do."""
    _run("doctor", {"worker": {"model": model}, **_folders(catalog)}, as_json=as_json)


def _folders(catalog: list[str] | None) -> dict[str, dict[str, object]]:
    return {"catalog": {"folders": catalog or None}}


def _is_address(text: str) -> bool:
    return all(
        host and port.isdigit()
        for host, _, port in (each.rpartition(":") for each in text.split(","))
    )


def _run(name: str, overrides: Mapping[str, Mapping[str, object]], **options: Any) -> None:
    """Load the settings, then run the process to its end."""
    from app.domain.model.errors import PlatformError, Unavailable
    from app.entrypoints.logs import configure_logging
    from app.entrypoints.settings import SettingsError, load_settings

    with told():
        try:
            settings = load_settings(**overrides)
            configure_logging(
                settings.logging.level, settings.logging.format, levels=settings.logging.levels
            )
            if name in _TOLD_BY_US:
                logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
            gc.disable()  # what loading makes is there to stay
            run: Callable[..., int] = import_module(SEAMS[name]).run
            gc.enable()
            code = run(settings, **options)
            if name in _LONG_LIVED:
                import_module("app.entrypoints.process").leave_threads_behind(code)
        except SettingsError as error:
            raise CommandFailed("\n".join(error.lines), Exit.USAGE) from error
        except Unavailable as error:
            raise CommandFailed(error.message, Exit.UNREACHABLE) from error
        except PlatformError as error:
            raise CommandFailed(error.message, Exit.REFUSED) from error
        leave(code)
