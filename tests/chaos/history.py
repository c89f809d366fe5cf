"""What happened during a run, as those saw it who stood outside: one JSON line for each thing.

The recorder knows nothing of what is right. The checker reads the lines when all is over.
"""

import time
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter


class Entry(BaseModel):
    """One thing that happened; `at` is the wall clock, which all processes of a run share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: float = Field(default_factory=time.time)


class Submission(Entry):
    """Somebody asked for a task, and how that went, when it was over."""

    what: Literal["submission"] = "submission"
    name: str
    """Stands in the task's label `submission`; the same for every repeat of the request."""
    how: Literal["rest", "plain", "cloudevent", "copy"]
    agent: str
    began: float
    outcome: Literal["accepted", "indeterminate", "refused"]
    task_id: str | None = None
    status: int | None = None
    tries: int = 1


class Poison(Entry):
    """Something that is no task was put on a command topic."""

    what: Literal["poison"] = "poison"
    kind: str
    topic: str
    partition: int
    offset: int
    dead: bool
    """Whether it has to become a dead letter."""


class Seen(Entry):
    """What a client read of a task; `at` is when the answer was there."""

    what: Literal["seen"] = "seen"
    task_id: str
    where: str
    began: float
    state: str
    """The task's state, or `unknown` for a 404."""
    reason: str | None = None
    attempt: int = 0
    sequence: int = 0
    finished_at: str | None = None
    outcome: JsonValue = None
    """The result, or the error."""


class Cancel(Entry):
    """Somebody asked to cancel a task."""

    what: Literal["cancel"] = "cancel"
    task_id: str
    began: float
    outcome: Literal["accepted", "indeterminate", "refused"]
    status: int | None = None


class Redrive(Entry):
    """Somebody asked once that a dead letter's message be sent again."""

    what: Literal["redrive"] = "redrive"
    letter_id: str
    task_id: str | None = None
    began: float
    outcome: Literal["accepted", "indeterminate", "refused"]
    status: int | None = None


class Fault(Entry):
    """Something was broken, or mended."""

    what: Literal["fault"] = "fault"
    kind: str
    phase: Literal["begins", "over"]
    target: str
    detail: str = ""
    number: int = 0


class Life(Entry):
    """A process of the fleet, a broker or the database changed its state."""

    what: Literal["life"] = "life"
    name: str
    pid: int
    change: Literal["started", "paused", "resumed", "ended"]
    code: int | None = None
    because: Literal["", "by itself", "killed", "asked"] = ""
    """Why it ended: `asked` by SIGTERM, or `killed`, by us or by a failpoint of ours."""


FULL = "full"


class Away(Entry):
    """A server could not be reached, or not as usual, between `began` and `at`.

    One that is `FULL` can be reached, and takes nothing.
    """

    what: Literal["away"] = "away"
    server: Literal["kafka", "store"]
    began: float
    how: str


class Commit(Entry):
    """How far a group says it is, read at some moment of the run."""

    what: Literal["commit"] = "commit"
    topic: str
    partition: int
    position: int
    done: tuple[int, ...] = ()
    """Offsets from the position on that are said to be done as well."""


class Gauge(Entry):
    """What a process holds."""

    what: Literal["gauge"] = "gauge"
    name: str
    pid: int
    files: int
    threads: int


class Quiet(Entry):
    """The load is over, nothing is broken any more, and the fleet had time to finish."""

    what: Literal["quiet"] = "quiet"
    waited: float
    lag: dict[str, int]
    """What is left to do by group; empty when nothing is."""
    left: tuple[int, ...] = ()
    """Processes that remained when all had been stopped."""


AnyEntry = Annotated[
    Submission | Poison | Seen | Cancel | Redrive | Fault | Life | Away | Commit | Gauge | Quiet,
    Field(discriminator="what"),
]
_ANY: TypeAdapter[AnyEntry] = TypeAdapter(AnyEntry)
_Kind = TypeVar("_Kind", bound=Entry)


class History:
    """Appends to a file, line by line, so that a run cut short has a history too."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, entry: _Kind) -> _Kind:
        self._file.write(entry.model_dump_json(exclude_defaults=False) + "\n")
        return entry


def read_history(path: Path) -> list[AnyEntry]:
    return [_ANY.validate_json(line) for line in path.read_text().splitlines()]
