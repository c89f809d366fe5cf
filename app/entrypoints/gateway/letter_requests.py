"""What may be asked of dead letters, as OpenAPI describes it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.domain.model.dead_letters import DeadLetterReason
from app.domain.model.ids import AgentNameField
from app.domain.model.letters import LetterState, Person
from app.domain.model.messages import WrittenTime
from app.domain.model.numbers import A_NUMBER
from app.domain.model.paging import CURSOR
from app.ports.letter_store import LetterFilter

_STRICT = ConfigDict(frozen=True, extra="forbid")
_BY = Field("gateway", description="Who asks; noted as it is given, nobody checks it.")


class LetterQuery(BaseModel):
    """Which dead letters to list."""

    model_config = ConfigDict(extra="forbid")

    agent: AgentNameField | None = None
    reason: DeadLetterReason | None = None
    state: LetterState | None = None
    since: WrittenTime | None = Field(None, description="Set aside at this time or later.")
    until: WrittenTime | None = Field(None, description="Set aside before this time.")
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = Field(
        None, pattern=CURSOR, description="`next_cursor` of the page before."
    )

    def wanted(self) -> LetterFilter:
        return LetterFilter(self.agent, self.reason, self.state, self.since, self.until)


class RedriveRequest(BaseModel):
    """How to send a letter's message again; without a body, as it was."""

    model_config = _STRICT

    value: dict[str, JsonValue] | None = Field(
        None,
        description="A task's body to send instead, as for a submission. It stays the same task "
        "for the same agent; `id` and `agent` may be left out.",
    )
    by: Person = _BY


class RetryRequest(BaseModel):
    """Who wants a task run again."""

    model_config = _STRICT

    by: Person = _BY


class DiscardRequest(BaseModel):
    """Why nothing is to come of a letter."""

    model_config = _STRICT

    comment: Annotated[str, Field(max_length=1_000)] | None = None
    by: Person = _BY


class LetterChoice(BaseModel):
    """Which of the waiting letters to redrive; without a wish, all of them."""

    model_config = _STRICT

    agent: AgentNameField | None = None
    reason: DeadLetterReason | None = None
    since: WrittenTime | None = None
    until: WrittenTime | None = Field(
        None, description="Set aside before this time; never later than the request."
    )

    def wanted(self) -> LetterFilter:
        return LetterFilter(self.agent, self.reason, LetterState.WAITING, self.since, self.until)


class RedriveManyRequest(BaseModel):
    """Redrive what waits and fits, the oldest first."""

    model_config = _STRICT

    filter: LetterChoice = LetterChoice()
    rate_per_second: Annotated[float, Field(gt=0, le=1_000), A_NUMBER] = 10
    limit: Annotated[int, Field(ge=1, le=10_000), A_NUMBER] = 1_000
    cursor: str | None = Field(
        None,
        pattern=CURSOR,
        description="`next_cursor` of the answer before, to go on behind what was tried.",
    )
    by: Person = _BY
