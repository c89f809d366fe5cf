"""Which agents run in processes of their own, and what those processes are made of."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from app.adapters.local.catalog import compile_schema
from app.adapters.local.result_spool import FileSpool
from app.domain.model.agents import Agent, AgentSpec
from app.domain.model.ids import RuntimeName
from app.entrypoints.settings import LoggingSettings, Settings, WorkerSettings
from app.ports.agent_runtime import AgentRuntime
from app.ports.chat_model import ChatModels, Model

PYTHON = RuntimeName("python")


def isolated(
    runtime: AgentRuntime,
    settings: Settings,
    served: Sequence[Agent],
    models: ChatModels | None = None,
) -> AgentRuntime:
    """The runtime, which runs the agents that ask for it in processes of their own."""
    specs = [agent.spec for agent in served if runtime.name in agent.spec.runtimes]
    apart = [spec for spec in specs if spec.isolation == "process"]
    if not apart:
        return runtime
    from app.adapters.isolation.child import BuildRuntime  # noqa: PLC0415  for few workers
    from app.adapters.isolation.children import Children  # noqa: PLC0415
    from app.adapters.isolation.runtime import IsolatedRuntime  # noqa: PLC0415

    if runtime.name == PYTHON:
        build: BuildRuntime = partial(python_in_a_child, settings.logging)
        preload = [__name__, "app.adapters.python.runtime", *_modules(apart)]
    else:
        build = partial(crews_in_a_child, settings.logging, settings.worker.model)
        preload = [
            __name__,
            "app.adapters.rules.tools",
            "app.adapters.crewai.runtime:import_crewai",
        ]
    return IsolatedRuntime(
        runtime, build, Children(preload), models, served=specs, spool=spool_of(settings.worker)
    )


def spool_of(settings: WorkerSettings) -> FileSpool | None:
    """Where a worker keeps results that are too large, if it keeps them."""
    if not settings.spool_max_bytes:
        return None
    by_default = Path(settings.runtime_folder or Path(tempfile.gettempdir()) / "crewline") / "spool"
    folder = Path(settings.spool_folder) if settings.spool_folder else by_default
    return FileSpool(folder, settings.spool_max_bytes)


def python_in_a_child(log: LoggingSettings, _: ChatModels) -> AgentRuntime:
    from app.adapters.python.runtime import PythonRuntime  # noqa: PLC0415

    _log_as(log)
    return PythonRuntime()


def crews_in_a_child(log: LoggingSettings, model: Model | None, models: ChatModels) -> AgentRuntime:
    from app.adapters.crewai.runtime import CrewAIRuntime  # noqa: PLC0415
    from app.adapters.rules.tools import TextFacts  # noqa: PLC0415

    _log_as(log)
    tools = [TextFacts()]
    named = {tool.name: tool for tool in tools}
    return CrewAIRuntime(models, model, named, compile_schema, max_crews=1)


def _log_as(log: LoggingSettings) -> None:
    from app.entrypoints.logs import configure_logging  # noqa: PLC0415

    configure_logging(log.level, log.format, levels=log.levels)


def _modules(specs: Sequence[AgentSpec]) -> list[str]:
    """The modules of people's callables; entry points are found when they run."""
    named = (spec.runtimes[PYTHON].get("callable") for spec in specs)
    return [where.partition(":")[0] for where in named if isinstance(where, str) and ":" in where]
