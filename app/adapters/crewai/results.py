"""Makes a task's result of what its crew put out, and has it mended once where it does not fit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from pydantic import JsonValue

from app.adapters.crewai.answers import DoesNotFit, mending, read
from app.adapters.crewai.outcome import CrewOutcome
from app.domain.model.agents import AgentSpec, Check, Schema
from app.domain.model.errors import PlatformError, RunFailed
from app.domain.model.events import Artifact, Result
from app.ports.agent_runtime import RunContext
from app.ports.chat_model import (
    ChatAnswer,
    ChatMessage,
    ChatModels,
    ChatRequest,
    Model,
    ModelFailed,
)


@dataclass(frozen=True, slots=True)
class ResultMaker:
    """Reads outcomes; `model` is asked to mend one, where there is a model."""

    models: ChatModels
    model: Model | None
    compile_schema: Callable[[Schema], Check]

    async def result(self, spec: AgentSpec, outcome: CrewOutcome, context: RunContext) -> Result:
        """The output as text, or as data where the agent has an output schema.

        What reads as a document becomes an artifact: every step's text, and the last one's too
        unless it is data. Raises `RunFailed`, `ModelFailed` or `BudgetExceeded`.
        """
        if spec.output_schema:
            output = await self._data(spec, outcome, context)
        else:
            output = outcome.data if outcome.data is not None else outcome.text
        documents = outcome.steps if isinstance(output, str) else outcome.steps[:-1]
        return Result(
            output=output,
            artifacts=tuple(
                Artifact(name=f"{step.name}.md", media_type="text/markdown", content=step.text)
                for step in documents
            ),
        )

    async def _data(self, spec: AgentSpec, outcome: CrewOutcome, context: RunContext) -> JsonValue:
        check = self.compile_schema(spec.output_schema)
        try:
            return await read(outcome.text, check)
        except DoesNotFit as wrong:
            request = mending(outcome.text, spec.output_schema, str(wrong))
        mended = await self._mended(request, context) if self.model else outcome.text
        try:
            return await read(mended, check)
        except DoesNotFit as still:
            why = f"{spec.name}'s answer does not fit its output schema: {still}"
            raise RunFailed("output-invalid", why, retryable=False) from still

    async def _mended(self, request: str, context: RunContext) -> str:
        """Ask the model once more, and say so, as the crew is over and tells nothing."""
        provider, _, name = (self.model or "").partition(":")
        step = await context.begin("step", "mend the answer")
        call = await context.begin("model", name, step, provider)
        try:
            answer = await self.models.ask(
                self.model or "", ChatRequest((ChatMessage("user", request),))
            )
        except BaseException as error:
            why = error.message if isinstance(error, PlatformError) else "canceled"
            took = error.took if isinstance(error, ModelFailed) else None
            await context.end(call, error=why, **_counts(took))
            await context.end(step, error=why)
            raise
        await context.end(
            call,
            finish_reason=answer.finish_reason,
            **_counts(answer),
        )
        await context.end(step)
        return answer.text


class _Counts(TypedDict, total=False):
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    counted: bool


def _counts(answer: ChatAnswer | None) -> _Counts:
    """What a call took; nothing where that is not known."""
    if answer is None:
        return {}
    counts = _Counts(
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cached_tokens=answer.cached_tokens,
    )
    return counts if answer.counted else {**counts, "counted": False}
