"""`crewline doctor`: asks everything Crewline depends on, and says what to do."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass

import typer

from app.domain.model.agents import AgentCatalog
from app.domain.model.errors import PlatformError, Unavailable
from app.entrypoints.bootstrap.agents import (
    CREWAI,
    agents_of,
    crewai_installed,
    key_faults,
    loaded_agents,
    missing_keys,
    runtimes_of,
)
from app.entrypoints.bootstrap.extras import how_to_get
from app.entrypoints.bootstrap.kafka_broker import broker_of
from app.entrypoints.bootstrap.limits import open_limits
from app.entrypoints.bootstrap.stores import open_store
from app.entrypoints.settings import Settings, SettingsError
from app.entrypoints.settings.ecosystem import provider_variables
from app.entrypoints.terminal import printable

_UNREACHABLE, _REFUSED = 3, 4
_ASKED_BEFORE = ("limits", "model")
"""What a worker needs too, and would only say again."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was asked; `advice` is what to do about it, where there is something."""

    what: str
    ok: bool
    detail: str
    advice: str | None = None
    unreachable: bool = False


def run(settings: Settings, *, as_json: bool) -> int:
    """Print every finding; the exit code says whether all is well (0)."""
    findings = asyncio.run(_examine(settings))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            for line in finding.detail.splitlines():
                typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}: {printable(line)}")
            if finding.advice:
                typer.echo(f"      -> {printable(finding.advice)}")
    if any(finding.unreachable for finding in findings):
        return _UNREACHABLE
    return 0 if all(finding.ok for finding in findings) else _REFUSED


async def _examine(settings: Settings) -> list[Finding]:
    catalog, agents = _agents(settings)
    findings = [finding async for finding in _broker(settings, catalog)]
    findings.append(await _store(settings))
    findings.append(await _limits(settings))
    findings.append(agents)
    findings.extend(_model(settings))
    if all(finding.ok for finding in findings if finding.what in _ASKED_BEFORE):
        findings.append(await _worker(settings, catalog))
    present = [name for name, is_set in provider_variables(os.environ).items() if is_set]
    findings.append(_keys(present))
    return findings


async def _broker(settings: Settings, catalog: AgentCatalog) -> AsyncIterator[Finding]:
    servers = settings.kafka.bootstrap_servers
    broker = broker_of(settings)
    try:
        changes = await broker.provision(catalog, apply=False)
    except PlatformError as error:
        yield Finding(
            "broker",
            ok=False,
            detail=f"{servers}: {error.message}",
            advice="start one with `crewline dev`, or set CREWLINE_KAFKA__BOOTSTRAP_SERVERS",
            unreachable=True,
        )
        return
    yield Finding("broker", ok=True, detail=f"{servers} answers")
    if changes:
        detail = f"{len(changes)} to be made or changed"
        yield Finding("topics", ok=False, detail=detail, advice="run `crewline topics apply`")
    else:
        yield Finding("topics", ok=True, detail="all there, as they should be")


async def _store(settings: Settings) -> Finding:
    try:
        async with open_store(settings, up_to_date=True) as store:
            await store.status.ping()
    except (PlatformError, OSError, ValueError) as error:
        return Finding(
            "store",
            ok=False,
            detail=str(error),
            advice="check CREWLINE_STORE__URL, and that the database runs",
            unreachable=True,
        )
    return Finding("store", ok=True, detail="answers, its tables are up to date")


async def _limits(settings: Settings) -> Finding:
    try:
        async with open_limits(settings) as limits:
            await limits.spending.ledger.spent(["doctor"])
    except (PlatformError, SettingsError) as error:
        return Finding(
            "limits",
            ok=False,
            detail=str(error),
            advice="check CREWLINE_LIMITS__REDIS_URL and CREWLINE_LIMITS__PRICES",
            unreachable=isinstance(error, Unavailable),
        )
    where = "in Redis, which answers" if limits.shared else "by each worker alone"
    return Finding("limits", ok=True, detail=f"counted {where}")


def _agents(settings: Settings) -> tuple[AgentCatalog, Finding]:
    """Those whose files are sound, so that the rest can be asked all the same."""
    catalog, problems = loaded_agents(settings)
    if problems:
        advice = "mend or remove each of these files"
        return catalog, Finding("agents", ok=False, detail="\n".join(problems), advice=advice)
    return catalog, Finding("agents", ok=True, detail=", ".join(each.name for each in catalog))


async def _worker(settings: Settings, catalog: AgentCatalog) -> Finding:
    """Whether a worker can load what its agents name, crews too."""
    try:
        settings = agents_of(settings, catalog)
        # what people's modules print when they are loaded is no finding
        async with open_limits(settings) as limits:
            with redirect_stdout(sys.stderr):
                runtimes = runtimes_of(settings, catalog, limits)
    except (PlatformError, SettingsError) as error:
        advice = "a worker with these settings does not start; the agent's file says what it needs"
        return Finding("worker", ok=False, detail=str(error), advice=advice)
    return Finding("worker", ok=True, detail=f"can run agents by {', '.join(runtimes)}")


def _keys(present: list[str]) -> Finding:
    """Those of the model providers; one that is set may still be one that cannot work."""
    if faults := key_faults():
        advice = "mend it where it is set: no provider takes it as it stands"
        return Finding("keys", ok=False, detail="; ".join(faults), advice=advice)
    return Finding("keys", ok=True, detail=f"set: {', '.join(present) or 'none'}")


def _model(settings: Settings) -> Iterator[Finding]:
    model, runtimes = settings.worker.model, settings.worker.runtimes
    if CREWAI not in runtimes:
        yield Finding("model", ok=True, detail=f"none needed: runtimes are {', '.join(runtimes)}")
    elif not crewai_installed():
        advice = f"install {how_to_get('crewai')}"
        yield Finding("model", ok=False, detail="the extra `crewai` is missing", advice=advice)
    elif model is None:
        yield Finding(
            "model",
            ok=False,
            detail="crews are wanted, but no model is chosen",
            advice="set CREWLINE_WORKER__MODEL, as in openai:gpt-4.1-mini",
        )
    elif missing := missing_keys(model):
        detail = f"{model} needs {', '.join(missing)}"
        yield Finding("model", ok=False, detail=detail, advice=f"set {missing[0]}")
    elif faults := key_faults(model):
        detail = f"{model}: {'; '.join(faults)}"
        yield Finding("model", ok=False, detail=detail, advice="set it anew")
    else:
        yield Finding("model", ok=True, detail=f"{model}, its key is set")
