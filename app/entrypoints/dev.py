"""`crewline dev`: everything in one command, on a broker it starts itself."""

import asyncio
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import structlog
import typer

from app.domain.model.agents import AgentCatalog
from app.domain.model.errors import Unavailable
from app.entrypoints import projector, worker
from app.entrypoints.bootstrap.agents import CREWAI, crewai_installed, sound_agents
from app.entrypoints.bootstrap.broker import Broker
from app.entrypoints.bootstrap.extras import how_to_get
from app.entrypoints.bootstrap.kafka_broker import broker_of
from app.entrypoints.bootstrap.limits import open_limits
from app.entrypoints.bootstrap.local_servers import alone_in, local_broker
from app.entrypoints.bootstrap.memory_broker import MemoryBroker
from app.entrypoints.bootstrap.stores import Store, open_store
from app.entrypoints.cli.completion import DEFAULT_URL
from app.entrypoints.gateway import serving
from app.entrypoints.process import Stop, run_until_stopped
from app.entrypoints.settings import Settings, StoreSettings, choose_agents
from app.ports.event_log import Offsets

_EXAMPLE = (
    "a marketplace for second-hand bikes, three cities, 50,000 users, GDPR, "
    "launch in six months, 400,000 EUR"
)
_KCAT = (
    "    # the librdkafka that `kcat -V` names must be 2.2 or newer for this broker; "
    "docs/kafka.md shows Python and Java"
)
_READY_WITHIN = 60
_PROJECTED_WITHIN = 5
_LOOK_EVERY = 0.05
_log = structlog.get_logger(__name__)


def run(settings: Settings, *, broker: str, kafka_port: int, data: Path) -> int:
    """Run gateway, worker and projector until Ctrl-C; finished tasks are there the next time."""
    settings = _for_this_machine(settings, broker, kafka_port, data)
    serving.refuse_taken(settings.gateway)

    async def main(stop: Stop) -> None:
        async with open_limits(settings) as limits:
            catalog, problems = sound_agents(settings, limits)
        for problem in problems:
            _log.error("an agent is left out", reason=problem)
        async with AsyncExitStack() as stack:
            stack.enter_context(alone_in(data))
            started = await stack.enter_async_context(_started(settings, broker, data))
            store = await stack.enter_async_context(open_store(settings, up_to_date=True))
            await started.provision(catalog, apply=True)
            if started.forgets:
                await _go_on(started, store)
            await _serve(_Dev(settings, catalog, problems, started, store), stop)

    return run_until_stopped(main)


def _for_this_machine(settings: Settings, broker: str, kafka_port: int, data: Path) -> Settings:
    """Data in one folder, Kafka where we start it, and crews too where they are installed."""
    # nobody balances load over it
    update: dict[str, object] = {
        "gateway": settings.gateway.model_copy(update={"linger_seconds": 0})
    }
    if settings.store == StoreSettings():
        url = f"sqlite:///{data / 'views.db'}"
        update["store"] = StoreSettings.model_validate({"url": url})
    if broker != "memory":
        servers = broker if ":" in broker else f"127.0.0.1:{kafka_port}"
        kafka = {"bootstrap_servers": servers, "embedded": broker == "embedded"}
        update["kafka"] = settings.kafka.model_copy(update=kafka)
    if settings.worker.model and CREWAI not in settings.worker.runtimes and crewai_installed():
        runtimes = [CREWAI, *settings.worker.runtimes]
        update["worker"] = settings.worker.model_copy(update={"runtimes": runtimes})
    return settings.model_copy(update=update)


@asynccontextmanager
async def _started(settings: Settings, broker: str, data: Path) -> AsyncIterator[Broker]:
    if broker == "memory":
        yield MemoryBroker()
        return
    port = int(settings.kafka.bootstrap_servers.rpartition(":")[2])
    async with local_broker(broker, port, data):
        yield broker_of(settings)


async def _go_on(broker: Broker, store: Store) -> None:
    """The log begins anew: hand out again what was not finished."""
    async with broker.log() as log:
        for command in await store.views.begin_anew():
            await log.publish(command)


@dataclass(frozen=True, slots=True)
class _Dev:
    """What runs here."""

    settings: Settings
    catalog: AgentCatalog
    problems: Sequence[str]
    """Why agents are left out of the catalog."""
    broker: Broker
    store: Store


async def _serve(dev: _Dev, stop: Stop) -> None:
    """The projector ends last: what no view has, a broker that forgets takes with it."""
    settings, catalog, broker, store = dev.settings, dev.catalog, dev.broker, dev.store
    ready, projected = asyncio.Event(), Stop()
    projecting = asyncio.create_task(projector.serve(settings, broker, store, projected))
    others = [
        asyncio.create_task(worker.serve(settings, catalog, broker, store, stop)),
        asyncio.create_task(
            serving.serve(settings, catalog, broker, store, stop=stop, ready=ready)
        ),
    ]
    greeting = asyncio.create_task(_greet(dev, ready))
    try:
        await asyncio.wait({projecting, *others}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        greeting.cancel()
        await asyncio.wait(others)
        if not projecting.done():
            await _until_projected(broker, store)
        projected.set()
        await asyncio.wait({projecting})
        for process in (projecting, *others):
            process.result()
    finally:
        for each in (projecting, *others, greeting):
            each.cancel()
        await asyncio.gather(projecting, *others, greeting, return_exceptions=True)


async def _until_projected(broker: Broker, store: Store) -> None:
    """Return once the views have all that is on the log now, or after some seconds."""
    try:
        async with asyncio.timeout(_PROJECTED_WITHIN):
            ends = await broker.feed(None).ends()
            while not _reached(ends, await store.views.offsets()):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_EVERY)
    except (TimeoutError, Unavailable) as error:
        _log.warning("the views may lack the end of the log", reason=repr(error))


def _reached(ends: Offsets, offsets: Offsets) -> bool:
    return all(offsets.get(shard, 0) >= end for shard, end in ends.items())


async def _greet(dev: _Dev, ready: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_READY_WITHIN):
            await ready.wait()
    except TimeoutError:
        _log.error("the gateway is not ready yet", seconds=_READY_WITHIN)
        return
    typer.echo(_greeting(dev))


def _greeting(dev: _Dev) -> str:
    settings, kafka = dev.settings, not isinstance(dev.broker, MemoryBroker)
    url = f"http://{settings.gateway.host}:{settings.gateway.port}"
    there = "" if url == DEFAULT_URL else f" --url {url}"
    body = f'{{"agent": "business-analyst", "input": "{_EXAMPLE}"}}'
    lines = [
        "",
        f"Crewline is ready: {url}",
        f"  agents    {', '.join(agent.name for agent in dev.catalog)}",
        *(f"  left out  {problem}" for problem in dev.problems),
        f"  runs by   {_running_by(settings)}",
        *(f"  no worker {said}" for said in _without_a_worker(dev)),
        f"  HTTP      {url}/docs",
        "",
        "Try, in another terminal; the first task waits some seconds for its worker:",
        "",
        f"  curl -s {url}/v1/tasks -H 'content-type: application/json' -H 'prefer: wait=30' \\",
        f"    -d '{body}'",
        "",
        f"  {_crewline()} submit business-analyst {shlex.quote(_EXAMPLE)} --wait{there}",
        "",
    ]
    if kafka:
        servers, topic = settings.kafka.bootstrap_servers, settings.kafka.prefix
        lines += [
            f'  echo \'{{"input": "{_EXAMPLE}"}}\' \\',
            f"    | kcat -P -b {servers} -t {topic}.commands.business-analyst",
            *([_KCAT] if settings.kafka.embedded else []),
            f"  {_crewline()} list{there}",
            "",
        ]
    return "\n".join([*lines, "Ctrl-C ends everything.", ""])


def _without_a_worker(dev: _Dev) -> Iterator[str]:
    """Agents whose tasks would wait: the worker that runs here cannot run them."""
    worker = dev.settings.worker
    for agent in dev.catalog:
        if not agent.spec.runtimes.keys() & set(worker.runtimes):
            needs = " or ".join(agent.spec.runtimes)
            yield f"for {agent.name}: it runs by {needs}, which the worker here does not have"
        elif worker.agents and agent.name not in choose_agents(
            worker.agents, [each.name for each in dev.catalog]
        ):
            yield f"for {agent.name}: CREWLINE_WORKER__AGENTS leaves it out here"


def _running_by(settings: Settings) -> str:
    runtimes = settings.worker.runtimes
    if CREWAI in runtimes:
        return f"{', '.join(runtimes)}; crews on {settings.worker.model}"
    missing = "" if find_spec("crewai") else f" and {how_to_get('crewai')}"
    return f"{', '.join(runtimes)}; crews with --model PROVIDER:NAME{missing}"


def _crewline() -> str:
    """How to call us: by name where the shell finds that, else by path."""
    if shutil.which("crewline"):
        return "crewline"
    here = Path(sys.argv[0])
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else str(here)
