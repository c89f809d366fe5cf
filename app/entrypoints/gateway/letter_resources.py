"""Dead letters as the gateway shows them."""

import base64
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from app.domain.model.dead_letters import DeadLetterReason
from app.domain.model.ids import AgentName, LetterId, TaskId
from app.domain.model.letters import KnownLetter, LetterDiscarded, LetterRedriven, LetterState
from app.domain.model.messages import Timestamp, trace_id_of
from app.domain.model.task import Task, TaskAttempt
from app.domain.use_cases.redrive_many import Batch
from app.entrypoints.gateway.letter_requests import LetterChoice
from app.entrypoints.gateway.resources import Links, Resource
from app.ports.letter_store import LetterPage


class Place(BaseModel):
    """Where in Kafka the message stood."""

    topic: str
    partition: int
    offset: int
    timestamp: Timestamp


class Bytes(BaseModel):
    """Bytes as text where they are UTF-8, else in base64; one of the two is given."""

    text: str | None = None
    base64: str | None = None

    @classmethod
    def of(cls, value: bytes) -> Self:
        try:
            return cls(text=value.decode())
        except UnicodeDecodeError:
            return cls(base64=base64.b64encode(value).decode())


class Header(BaseModel):
    """A header of the message; a name may stand there more than once."""

    name: str
    value: Bytes


class Settled(BaseModel):
    """What was done about a letter."""

    at: Timestamp
    by: str = Field(description="Who said that they did it.")
    edited: bool = Field(description="Whether another value was sent than the one shown.")
    comment: str | None


class LetterLinks(Links):
    """Where to go on from a letter."""

    task: str | None


class LetterSummary(Resource):
    """A dead letter without the bytes of its message."""

    id: LetterId
    state: LetterState
    reason: DeadLetterReason
    detail: str = Field(description="The reason in words.")
    agent: AgentName | None
    task_id: TaskId | None = Field(description="The task it was, where that could be told.")
    attempts: int = Field(description="How many runs there were.")
    redrives: int = Field(description="How often the message had been sent again before.")
    at: Timestamp = Field(description="When it was set aside.")
    origin: Place = Field(description="Where its message stood.")
    settled: Settled | None = Field(description="Null while it waits.")
    links: LetterLinks

    @classmethod
    def of(cls, known: KnownLetter) -> "LetterSummary":
        return LetterSummary(**_told(known))


class LetterResource(LetterSummary):
    """A dead letter, whole, and what became of its task so far."""

    model_config = ConfigDict(title="DeadLetter")

    key: Bytes | None = Field(description="The key its message had.")
    value: Bytes | None = Field(description="Null where it was too large to be kept.")
    headers: list[Header]
    trace_id: str | None
    history: list[TaskAttempt] = Field(description="The runs of its task: when, where and why.")

    @classmethod
    def whole(cls, known: KnownLetter, task: Task | None) -> "LetterResource":
        """The letter, and what the views know of its task."""
        origin = known.letter.origin
        own = dict(origin.headers).get("traceparent", b"").decode("utf-8", "replace")
        return cls(
            **_told(known),
            key=None if origin.key is None else Bytes.of(origin.key),
            value=None if origin.value is None else Bytes.of(origin.value),
            headers=[Header(name=name, value=Bytes.of(value)) for name, value in origin.headers],
            trace_id=trace_id_of(own) or (task.trace_id if task else None),
            history=list(task.attempts) if task else [],
        )


class LetterList(Resource):
    """One page of dead letters, newest first."""

    items: list[LetterSummary]
    next_cursor: str | None = Field(description="Where the next page begins; null on the last.")

    @classmethod
    def of(cls, page: LetterPage) -> "LetterList":
        return cls(
            items=[LetterSummary.of(each) for each in page.items], next_cursor=page.next_cursor
        )


class RefusedLetter(BaseModel):
    """A letter that goes on waiting, and why."""

    id: LetterId
    code: str
    detail: str


class ManyRedriven(Resource):
    """What became of the letters that were tried."""

    redriven: int
    refused: list[RefusedLetter]
    next_cursor: str | None = Field(
        description="Where to go on, with the filter below; null where none is left."
    )
    filter: LetterChoice = Field(
        description="As it was applied: what comes back later is not in it."
    )

    @classmethod
    def of(cls, batch: Batch, given: str | None) -> "ManyRedriven":
        """`given` is the cursor of the request, for where nothing was tried."""
        wanted = batch.wanted
        return cls(
            redriven=batch.redriven,
            refused=[
                RefusedLetter(id=each.letter_id, code=each.error.code, detail=each.error.message)
                for each in batch.refused
            ],
            next_cursor=None if batch.done else batch.cursor or given,
            filter=LetterChoice(
                agent=wanted.agent, reason=wanted.reason, since=wanted.since, until=wanted.until
            ),
        )


def _told(known: KnownLetter) -> dict[str, object]:
    letter, done = known.letter, known.settled
    origin, task_id = letter.origin, letter.task_id
    if isinstance(done, LetterRedriven):
        task_id = task_id or done.task_id
    settled = done and Settled(
        at=done.at,
        by=done.by,
        edited=isinstance(done, LetterRedriven) and done.edited,
        comment=done.comment if isinstance(done, LetterDiscarded) else None,
    )
    path = f"/v1/dead-letters/{known.id}"
    return {
        "id": known.id,
        "state": known.state,
        "reason": letter.reason,
        "detail": letter.detail,
        "agent": letter.agent,
        "task_id": task_id,
        "attempts": letter.attempts,
        "redrives": letter.redrives,
        "at": letter.at,
        "origin": Place(
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
            timestamp=origin.timestamp,
        ),
        "settled": settled,
        "links": LetterLinks(itself=path, task=f"/v1/tasks/{task_id}" if task_id else None),
    }
