"""The `crewai` runtime: runs an agent as a crew on a chat model.

CrewAI itself takes seconds to import, so nothing here imports it until a crew is warmed up or run.
"""

import asyncio
from collections.abc import Callable, Mapping
from importlib.util import find_spec

from app.adapters.crewai.answers import wish
from app.adapters.crewai.outcome import CrewOutcome
from app.adapters.crewai.results import ResultMaker
from app.adapters.crewai.section import NAME, CrewSection, section_of
from app.adapters.crewai.surroundings import writable_home
from app.adapters.crewai.templates import render
from app.domain.model.agents import AgentSpec, Check, Schema
from app.domain.model.budgets import BudgetExceeded
from app.domain.model.errors import InvalidAgent
from app.domain.model.events import Result
from app.domain.model.ids import RuntimeName
from app.domain.model.readable import words
from app.ports.agent_runtime import AgentRuntime, RunContext, TaskInput
from app.ports.chat_model import ChatModels, Model, ModelFailed, UnknownModel
from app.ports.tools import Tool


class CrewAIRuntime(AgentRuntime):
    """Up to `max_crews` crews at once, each in a thread of its own; the others wait."""

    def __init__(
        self,
        chat_models: ChatModels,
        default_model: Model | None,
        tools: Mapping[str, Tool],
        compile_schema: Callable[[Schema], Check],
        *,
        max_crews: int = 16,
        tool_timeout: float = 60,
    ) -> None:
        """`compile_schema` makes what an answer is held against."""
        self._models = chat_models
        self._default_model = default_model
        self._tools = tools
        self._tool_timeout = tool_timeout
        self._compile_schema = compile_schema
        self._crews = asyncio.Semaphore(max_crews)

    @property
    def name(self) -> RuntimeName:
        return NAME

    def check(self, spec: AgentSpec) -> None:
        section = section_of(spec)
        wanted = {tool for member in section.agents.values() for tool in member.tools}
        if unknown := sorted(wanted - set(self._tools)):
            known = ", ".join(sorted(self._tools)) or "none"
            raise InvalidAgent(f"{spec.name} uses {', '.join(unknown)}; the tools are: {known}")
        if section.factory:
            _require_module(spec, section.factory)
        self._check_model(spec, section)
        try:
            self._compile_schema(spec.output_schema)
        except InvalidAgent as error:
            raise InvalidAgent(f"{spec.name}: output_schema: {error.message}") from error

    def _check_model(self, spec: AgentSpec, section: CrewSection) -> None:
        model = self.model_for(spec)
        if model is None and section.factory is None:
            raise InvalidAgent(
                f"{spec.name} needs a chat model: set CREWLINE_WORKER__MODEL, "
                "as in openai:gpt-4.1-mini, or `model` in the agent's file"
            )
        try:
            if model:
                self._models.missing_keys(model)
        except UnknownModel as error:
            raise InvalidAgent(f"{spec.name}: {error.message}") from error

    def model_for(self, spec: AgentSpec, task: TaskInput | None = None) -> Model | None:
        """The model a run uses: the task's, else the agent's, else the worker's."""
        return (task.model if task else None) or spec.model or self._default_model

    def missing_key(self, spec: AgentSpec) -> str | None:
        """One line for whoever starts a worker, if this agent's model has no key that can work."""
        model = self.model_for(spec)
        if model is None:
            return None
        missing = self._models.missing_keys(model)
        if not missing:
            faults = self._models.key_faults(model)
            return f"{spec.name} cannot ask {model}: {'; '.join(faults)}" if faults else None
        way_out = "`model` in its file" if spec.model else "CREWLINE_WORKER__MODEL"
        return (
            f"{spec.name} needs {' and '.join(missing)} for {model}; "
            f"set it, or choose another model with {way_out}"
        )

    async def warm_up(self) -> None:
        """Do at start what would make the first task slow: the imports, and one crew for show."""
        await asyncio.to_thread(import_crewai)
        if self._default_model:
            await asyncio.to_thread(self._models.input_limit, self._default_model)
        from app.adapters.crewai.rehearsal import rehearse  # noqa: PLC0415 - see the module's word

        await rehearse()

    async def run(self, spec: AgentSpec, task: TaskInput, context: RunContext) -> Result:
        section = _rendered(section_of(spec), spec, task)
        model = self.model_for(spec, task)
        async with self._crews:
            try:
                models = context.within_budget(self._models)
                outcome = await self._kick_off(
                    spec, section, task, context, models=models, model=model
                )
                making = ResultMaker(models, model, self._compile_schema)
                return await making.result(spec, outcome, context)
            except (ModelFailed, BudgetExceeded) as failure:
                from app.adapters.crewai.failures import run_failed  # noqa: PLC0415

                raise run_failed(failure) from failure

    async def _kick_off(
        self,
        spec: AgentSpec,
        section: CrewSection,
        task: TaskInput,
        context: RunContext,
        *,
        models: ChatModels,
        model: Model | None,
    ) -> CrewOutcome:
        await asyncio.to_thread(import_crewai)
        from app.adapters.crewai.crews import CrewPlan  # noqa: PLC0415
        from app.adapters.crewai.kickoff import kick_off  # noqa: PLC0415

        window = await asyncio.to_thread(self._models.input_limit, model) if model else None
        plan = CrewPlan(
            name=spec.name,
            section=section,
            task=task,
            models=models,
            model=model,
            window=window,
            tools=self._tools,
            tool_timeout=self._tool_timeout,
        )
        return await kick_off(plan, context)


def _require_module(spec: AgentSpec, factory: str) -> None:
    """Raise `InvalidAgent` where it is not to be found; it is not imported, as it loads CrewAI."""
    try:
        found, why = find_spec(factory.partition(":")[0]), "there is no such module"
    except (Exception, SystemExit) as error:  # noqa: BLE001  # the packages it is in are imported
        found, why = None, words(error)
    if found is None:
        raise InvalidAgent(f"{spec.name}: runtimes.crewai.factory: {factory!r}: {why}")


def _rendered(section: CrewSection, spec: AgentSpec, task: TaskInput) -> CrewSection:
    """The section for this task; the last step is also told the shape of its answer."""
    if section.factory is not None:
        return section
    steps = [
        step.model_copy(
            update={
                "description": render(step.description, task),
                "expected_output": render(step.expected_output, task),
            }
        )
        for step in section.tasks
    ]
    if spec.output_schema:
        last = steps[-1]
        told = last.expected_output + wish(spec.output_schema)
        steps[-1] = last.model_copy(update={"expected_output": told})
    return section.model_copy(update={"tasks": tuple(steps)})


def import_crewai() -> None:
    """Load it, which takes seconds; a process that forks others does it for all of them."""
    with writable_home():
        import app.adapters.crewai.kickoff  # noqa: F401, PLC0415
