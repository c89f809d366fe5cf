"""One crew for show, with a model that only says it is ready, before the first task comes."""

from typing import Literal

from typing_extensions import override

from app.adapters.crewai.crews import CrewPlan
from app.adapters.crewai.kickoff import kick_off
from app.adapters.crewai.section import CrewMember, CrewSection, CrewStep
from app.domain.model.ids import TaskId
from app.ports.agent_runtime import ActivityId, ActivityKind, RunContext, TaskInput
from app.ports.chat_model import ChatAnswer, ChatModels, ChatRequest, Model, OnText


class _Ready(ChatModels):
    """Says one word to everything."""

    @override
    async def ask(
        self, model: Model, request: ChatRequest, on_text: OnText | None = None
    ) -> ChatAnswer:
        return ChatAnswer("Ready.")

    @override
    def input_limit(self, model: Model) -> int | None:
        return None

    @override
    def missing_keys(self, model: Model) -> tuple[str, ...]:
        return ()


class _EmptyHouse(RunContext):
    """Nobody listens."""

    @property
    @override
    def attempt(self) -> int:
        return 1

    @property
    @override
    def canceled(self) -> bool:
        return False

    @override
    def idempotency_key(self, step: str) -> str:
        return step

    @override
    async def report(self, message: str, progress: float | None = None) -> None: ...

    @override
    async def log(
        self, message: str, level: Literal["debug", "info", "warning", "error"] = "info"
    ) -> None: ...

    @override
    async def token(self, text: str, parent: ActivityId | None = None) -> None: ...

    @override
    async def begin(
        self,
        kind: ActivityKind,
        name: str,
        parent: ActivityId | None = None,
        provider: str | None = None,
        *,
        lent: bool | None = None,
    ) -> ActivityId:
        return name

    @override
    async def end(
        self,
        activity: ActivityId,
        *,
        error: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int = 0,
        finish_reason: str | None = None,
        counted: bool = True,
    ) -> None: ...


async def rehearse() -> None:
    """Run it once: what CrewAI imports and compiles on first use is then done."""
    member = CrewMember(role="Stagehand", goal="Be ready.")
    step = CrewStep(name="rehearse", description="Report.", expected_output="A word.", agent="one")
    plan = CrewPlan(
        name="rehearsal",
        section=CrewSection(agents={"one": member}, tasks=(step,)),
        task=TaskInput(TaskId("rehearsal"), "Report.", {}),
        models=_Ready(),
        model="rehearsal:ready",
        window=None,
        tools={},
        tool_timeout=1,
    )
    await kick_off(plan, _EmptyHouse())
