"""The agents there are, and the ways this process can run them."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from app.adapters.local.catalog import FileCatalog, compile_schema
from app.domain.model.agents import Agent, AgentCatalog, AskerRules
from app.domain.model.errors import InvalidAgent
from app.domain.model.ids import AgentName, RuntimeName
from app.entrypoints.bootstrap.extras import how_to_get
from app.entrypoints.bootstrap.isolation import isolated
from app.entrypoints.bootstrap.limits import Limits
from app.entrypoints.settings import Settings, choose_agents
from app.entrypoints.settings.limits import budget_of
from app.entrypoints.settings.problems import closest
from app.ports.agent_runtime import AgentRuntime

CREWAI = RuntimeName("crewai")
_ALL = (RuntimeName("rules"), RuntimeName("python"), CREWAI)
_log = structlog.get_logger(__name__)


def catalog_of(settings: Settings) -> AgentCatalog:
    """Every shipped agent and those of the folders; raise `InvalidAgent` for a broken one."""
    return _catalog(settings).load()


def loaded_agents(settings: Settings) -> tuple[AgentCatalog, list[str]]:
    """The agents whose files are sound, and what is wrong with the others, a line each."""
    return _catalog(settings).load_sound()


def sound_agents(settings: Settings, limits: Limits) -> tuple[AgentCatalog, list[str]]:
    """The agents that a worker with these settings can run or leaves to others.

    What is wrong with those left out comes with them, a line each.
    """
    catalog, problems = loaded_agents(settings)
    _, broken = _checked(settings, catalog, limits)
    return catalog.without(broken), [*problems, *broken.values()]


def runtimes_of(
    settings: Settings, catalog: AgentCatalog, limits: Limits
) -> dict[RuntimeName, AgentRuntime]:
    """The worker's runtimes, the preferred one first; `limits` hold for their models.

    Each is asked whether it can run the agents it is meant for: raise `InvalidAgent` with all that
    is wrong where not.
    """
    runtimes, broken = _checked(settings, catalog, limits)
    if broken:
        raise InvalidAgent(*broken.values())
    return runtimes


def _checked(
    settings: Settings, catalog: AgentCatalog, limits: Limits
) -> tuple[dict[RuntimeName, AgentRuntime], dict[AgentName, str]]:
    """The worker's runtimes, and the agents they cannot run, each with the reason."""
    _look_here_for_callables()
    worker = settings.worker
    served = [catalog.require(AgentName(name)) for name in worker.agents] or list(catalog)
    runtimes = {
        RuntimeName(name): _runtime(name, settings, served, limits) for name in worker.runtimes
    }
    broken: dict[AgentName, str] = {}
    for agent in served:
        try:
            for name in agent.spec.runtimes:
                _require_known(agent, name)
                if name in runtimes:
                    runtimes[name].check(agent.spec)
        except InvalidAgent as error:
            broken[agent.name] = error.message
            continue
        if not runtimes.keys() & agent.spec.runtimes.keys() and worker.agents:
            broken[agent.name] = (
                f"{agent.name} runs by {_listed(agent.spec.runtimes)}, "
                f"this worker has {_listed(runtimes)}; set CREWLINE_WORKER__RUNTIMES"
            )
    return runtimes, broken


def agents_of(settings: Settings, catalog: AgentCatalog) -> Settings:
    """The settings with the worker's agents under their catalog names; none still means all."""
    if not settings.worker.agents:
        return settings
    chosen = choose_agents(settings.worker.agents, [agent.name for agent in catalog])
    worker = settings.worker.model_copy(update={"agents": chosen})
    return settings.model_copy(update={"worker": worker})


def crewai_installed() -> bool:
    """Whether the extra `crewai` is there; asking loads none of it."""
    from importlib.util import find_spec  # noqa: PLC0415  asked by `dev` and `doctor` only

    return find_spec("crewai") is not None and find_spec("langchain") is not None


def missing_keys(model: str) -> tuple[str, ...]:
    """The environment variables this chat model needs and has not got."""
    from app.adapters.langchain.providers import missing_keys as missing  # noqa: PLC0415  heavy

    return missing(model)


def key_faults(model: str | None = None) -> tuple[str, ...]:
    """What is wrong with the keys that are set, of this chat model or of every provider."""
    from app.adapters.langchain import providers  # noqa: PLC0415  heavy

    return tuple(providers.faults_of_keys()) if model is None else providers.key_faults(model)


def _look_here_for_callables() -> None:
    """People's modules are found where the worker was started, as `python -m` would find them."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)


def _runtime(
    name: str, settings: Settings, served: Sequence[Agent], limits: Limits
) -> AgentRuntime:
    if name == "rules":
        from app.adapters.rules.runtime import RulesRuntime  # noqa: PLC0415  for workers only

        return RulesRuntime(_folders(settings))
    if name == "python":
        from app.adapters.python.runtime import PythonRuntime  # noqa: PLC0415

        return isolated(PythonRuntime(), settings, served)
    if name == CREWAI:
        return _crewai(settings, served, limits)
    raise InvalidAgent(f"there is no runtime {name!r}; there are {_listed(_ALL)}")


def _require_known(agent: Agent, name: RuntimeName) -> None:
    if name not in _ALL:
        near = closest(name, _ALL)
        hint = f"did you mean {near!r}?" if near else f"there are {_listed(_ALL)}"
        raise InvalidAgent(f"{agent.name}: runtimes.{name}: no such runtime; {hint}")


def _crewai(settings: Settings, served: Sequence[Agent], limits: Limits) -> AgentRuntime:
    """Crews on LangChain's models; without its key a worker that is for crews does not start."""
    if not crewai_installed():
        raise InvalidAgent(f"crews need {how_to_get('crewai')}")
    from app.adapters.crewai.runtime import CrewAIRuntime  # noqa: PLC0415  2 s and 180 MB
    from app.adapters.langchain.chat_models import LangChainChatModels  # noqa: PLC0415
    from app.adapters.rules.tools import TextFacts  # noqa: PLC0415

    worker, tools = settings.worker, [TextFacts()]
    models = limits.on(LangChainChatModels())
    crews = CrewAIRuntime(
        models,
        worker.model,
        tools={tool.name: tool for tool in tools},
        max_crews=min(worker.slots, 32),
        compile_schema=compile_schema,
    )
    for agent in served:
        if CREWAI in agent.spec.runtimes and (missing := crews.missing_key(agent.spec)):
            if worker.runtimes[0] == CREWAI:
                raise InvalidAgent(missing)
            _log.warning("a crew cannot run", reason=missing)
            break
    _say_what_is_counted_alone(served, limits)
    return isolated(crews, settings, served, models)


def _say_what_is_counted_alone(served: Iterable[Agent], limits: Limits) -> None:
    alone = [agent.name for agent in served if agent.spec.budget.day]
    if alone and not limits.shared:
        advice = "set CREWLINE_LIMITS__REDIS_URL where there are several workers"
        _log.warning("this worker counts its agents' days alone", agents=alone, advice=advice)


def _catalog(settings: Settings) -> FileCatalog:
    limits = settings.limits
    rules = AskerRules(
        models=tuple(limits.models),
        default_model=settings.worker.model,
        task_budget=budget_of(limits.task_budget) if limits.task_budget else None,
        unmetered=limits.unmetered,
    )
    longest = settings.catalog.max_input_characters
    return FileCatalog(_folders(settings), max_input_characters=longest, rules=rules)


def _folders(settings: Settings) -> list[Path]:
    return [Path(folder) for folder in settings.catalog.folders]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
