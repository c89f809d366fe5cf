"""All the checker is given: the history, the ledger, the topics, the store and what HTTP shows."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

from app.domain.model.events import TaskRedriven
from tests.chaos.history import AnyEntry, Entry
from tests.chaos.ledger import Effect, Ledger, Ran

_Kind = TypeVar("_Kind", bound=Entry)
_Item = TypeVar("_Item")
REDRIVEN = TaskRedriven.TYPE


class Fact(BaseModel):
    model_config = ConfigDict(frozen=True)


class Place(Fact):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


class Command(Place):
    """A record of a command topic."""

    at: float
    key: str | None
    kind: Literal["task", "unreadable", "tombstone"]
    task_id: str | None
    agent: str | None = None
    submission: str | None = None
    text: str = ""
    context_id: str | None = None
    attempts: int = 0
    """Runs there had been when it was sent."""
    redrives: int = 0


class Told(Place):
    """A record of the results topic."""

    at: float
    task_id: str
    type: str
    agent: str
    attempt: int
    sequence: int
    worker_id: str
    ending: str | None
    """The state a terminal event leads to."""
    output: JsonValue = None
    error: str | None = None


class Letter(Fact):
    """A dead letter, and where its message stood."""

    at: float
    origin: Place
    reason: str
    task_id: str | None
    id: str = ""
    attempts: int = 0
    redrives: int = 0


class Settled(Fact):
    """The log says that a dead letter's message was sent again."""

    at: float
    letter_id: str


class Delayed(Fact):
    """A command that waits in the delays for its next run."""

    at: float
    task_id: str
    attempts: int = 0


class Shown(Fact):
    """A task over HTTP when all was over."""

    task_id: str
    state: str
    attempt: int
    output: JsonValue = None
    error: str | None = None


class Evidence(BaseModel):
    """Nothing in here is changed by the checker, so that it may be judged again another day."""

    model_config = ConfigDict(frozen=True)

    history: list[AnyEntry] = []
    ledger: Ledger = Ledger()
    commands: list[Command] = []
    told: list[Told] = []
    letters: list[Letter] = []
    settled: list[Settled] = []
    delayed: list[Delayed] = []
    shown: dict[str, Shown] = {}
    stored: dict[str, str] = {}
    """The state of each task as the store's own rows have it."""
    rebuilt: str | None = None
    """How views built anew differ from those the projectors kept; None where they are equal."""

    def entries(self, kind: type[_Kind]) -> list[_Kind]:
        return [entry for entry in self.history if isinstance(entry, kind)]

    @cached_property
    def tasks(self) -> list[str]:
        """Every task anybody has heard of, in the order of their first record."""
        named = [each.task_id for each in self.commands] + [each.task_id for each in self.told]
        return list(dict.fromkeys(task_id for task_id in named if task_id is not None))

    @cached_property
    def commands_of(self) -> dict[str, list[Command]]:
        return _by(lambda each: each.task_id, (c for c in self.commands if c.kind == "task"))

    @cached_property
    def told_of(self) -> dict[str, list[Told]]:
        """In the order of the log: all of one task stands in one partition."""
        return _by(lambda each: each.task_id, sorted(self.told, key=lambda each: each.offset))

    @cached_property
    def runs_of(self) -> dict[str, list[Ran]]:
        return _by(lambda each: each.task_id, self.ledger.runs)

    @cached_property
    def effects_of(self) -> dict[str, list[Effect]]:
        return _by(lambda each: each.task_id, self.ledger.effects)

    @cached_property
    def reopened(self) -> dict[str, list[int]]:
        """After which attempts each task came back from the dead letters."""
        redriven = [each for each in self.told if each.type == REDRIVEN]
        found = _by(lambda each: each.task_id, redriven)
        return {task_id: sorted({each.attempt for each in told}) for task_id, told in found.items()}

    def round_of(self, task_id: str, attempt: int) -> int:
        """How many redrives an attempt came after."""
        return sum(after < attempt for after in self.reopened.get(task_id, []))

    def endings(self, task_id: str) -> list[Told | None]:
        """How each round ended, the last one included: the terminal event that was first."""
        found: list[Told | None] = [None] * (1 + len(self.reopened.get(task_id, [])))
        for told in self.told_of.get(task_id, []):
            number = self.round_of(task_id, told.attempt)
            if told.ending and found[number] is None:
                found[number] = told
        return found

    def ending(self, task_id: str) -> Told | None:
        """How it ended, after the last redrive."""
        return self.endings(task_id)[-1]


def _by(name: Callable[[_Item], str | None], items: Iterable[_Item]) -> dict[str, list[_Item]]:
    found: defaultdict[str, list[_Item]] = defaultdict(list)
    for item in items:
        if (key := name(item)) is not None:
            found[key].append(item)
    return dict(found)
