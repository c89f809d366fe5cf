"""Agents that run by rules: same input, same output, and nothing leaves the process."""

import asyncio
import difflib
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from jinja2 import TemplateError
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from app.adapters.rules.procedure import Draft, Procedure, stopped_by
from app.adapters.rules.procedures import PROCEDURES
from app.adapters.rules.templates import DocumentTooLong, Templates, is_inline
from app.domain.model.agents import AgentSpec
from app.domain.model.errors import InvalidAgent, RunFailed
from app.domain.model.events import Artifact, Result
from app.domain.model.ids import RuntimeName
from app.ports.agent_runtime import ActivityId, ActivityKind, AgentRuntime, RunContext, TaskInput
from app.ports.own_thread import in_own_thread

_T = TypeVar("_T")

_MEDIA_TYPES = {".md": "text/markdown", ".json": "application/json", ".html": "text/html"}


class RulesSettings(BaseModel):
    """`runtimes.rules` of an agent: a procedure with its template, or a template alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    procedure: str | None = None
    template: str
    """A file in the catalog's folders, or the template itself."""


class RulesRuntime(AgentRuntime):
    """`folders` are those of the catalog: an agent's template lies beside its YAML file."""

    def __init__(
        self,
        folders: Sequence[Path] = (),
        procedures: Mapping[str, Procedure] = PROCEDURES,
    ) -> None:
        self._templates = Templates(folders)
        self._procedures = procedures

    @property
    def name(self) -> RuntimeName:
        return RuntimeName("rules")

    def check(self, spec: AgentSpec) -> None:
        settings = self._settings(spec)
        try:
            self._templates.get(settings.template)
        except TemplateError as error:
            raise InvalidAgent(f"{spec.name}: runtimes.rules.template: {_said(error)}") from error

    async def run(self, spec: AgentSpec, task: TaskInput, context: RunContext) -> Result:
        settings = self._settings(spec)
        async with _activity(context, "agent", spec.name) as agent:
            if settings.procedure is None:
                return Result(output=await self._write(settings, task, None, context, agent))
            draft = await self._work_out(settings.procedure, task, context, agent)
            document = await self._write(settings, task, draft, context, agent)
            name = Path(settings.template).name.removesuffix(".j2")
            if is_inline(settings.template):
                name = f"{settings.procedure}.md"
            media_type = _MEDIA_TYPES.get(Path(name).suffix, "text/plain")
            artifact = Artifact(name=name, media_type=media_type, content=document)
            return Result(output=draft.output, artifacts=(artifact, *draft.files))

    async def _work_out(
        self, procedure: str, task: TaskInput, context: RunContext, agent: ActivityId
    ) -> Draft:
        async with _activity(context, "step", procedure, agent):
            length = len(task.text)
            await context.report(f"Reading {length:,} characters", 0.1)
            work = self._procedures[procedure]
            draft = await _in_thread(lambda stop: _stoppable(work, task, stop))
            await context.report(draft.summary, 0.7)
            return draft

    async def _write(
        self,
        settings: RulesSettings,
        task: TaskInput,
        draft: Draft | None,
        context: RunContext,
        agent: ActivityId,
    ) -> str:
        async with _activity(context, "step", "write", agent):
            values: dict[str, JsonValue] = {
                "input": task.input,
                "text": task.text,
                "parameters": task.parameters,
            }
            if draft is not None:
                values["output"] = draft.output
            await context.report("Writing the document", 0.8)
            try:
                document = await _in_thread(
                    lambda stop: self._templates.render(settings.template, values, stop)
                )
            except (
                TemplateError,
                DocumentTooLong,
                TypeError,
                ArithmeticError,
                ValueError,
            ) as error:
                raise RunFailed("template-error", _said(error), retryable=False) from error
            await context.report(f"Wrote {len(document):,} characters", 1.0)
            return document

    def _settings(self, spec: AgentSpec) -> RulesSettings:
        section = spec.runtimes.get(self.name)
        if section is None:
            raise InvalidAgent(f"{spec.name}: has no section runtimes.rules")
        try:
            settings = RulesSettings.model_validate(section)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, ("runtimes", "rules", *first["loc"])))
            near = _nearest(str(first["loc"][-1]), list(RulesSettings.model_fields))
            hint = near if first["type"] == "extra_forbidden" else ""
            raise InvalidAgent(f"{spec.name}: {field}: {first['msg']}{hint}") from error
        if settings.procedure is not None and settings.procedure not in self._procedures:
            known = ", ".join(sorted(self._procedures))
            raise InvalidAgent(
                f"{spec.name}: runtimes.rules.procedure: no procedure is called "
                f"{settings.procedure!r}; there are: {known}"
            )
        return settings


def _stoppable(work: Procedure, task: TaskInput, stop: threading.Event) -> Draft:
    with stopped_by(stop):
        return work(task.text, task.parameters)


async def _in_thread(work: Callable[[threading.Event], _T]) -> _T:
    """Keep the event loop free; a canceled run ends when the thread, told to stop, has ended."""
    stop = threading.Event()
    working = in_own_thread("rules", lambda: work(stop))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([working])
        working.cancelled() or working.exception()  # nobody asks for it any more
        raise


@asynccontextmanager
async def _activity(
    context: RunContext, kind: ActivityKind, name: str, parent: ActivityId | None = None
) -> AsyncGenerator[ActivityId, None]:
    activity = await context.begin(kind, name, parent)
    error: str | None = "canceled"
    try:
        yield activity
        error = None
    except Exception as failure:
        error = _said(failure)
        raise
    finally:
        await context.end(activity, error=error)


def _said(error: Exception) -> str:
    """An error in one line; Jinja2's name the template's line."""
    line = getattr(error, "lineno", None)
    where = f" (line {line} of the template)" if line else ""
    return " ".join(f"{type(error).__name__}: {error}{where}".split())


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
