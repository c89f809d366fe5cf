"""The topics: their names, what travels on which, and how each one is kept."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, get_args

from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.events import ResultEvent, TraceEvent
from app.domain.model.fleet import WorkerHeartbeat
from app.domain.model.ids import AgentName, RuntimeName
from app.domain.model.letters import LetterFact
from app.domain.model.messages import Message

_DAY_MS = 86_400_000
_SLUG = r"[a-z][a-z0-9_-]{0,62}"
_RESULTS = frozenset(get_args(ResultEvent))
_TRACES = frozenset(get_args(TraceEvent))
_URGENT_PARTITIONS = 1
"""Few are urgent, and a reader pays for each partition it reads, empty ones too."""
_LEGAL_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class CommandTopic(NamedTuple):
    """What the name of a command topic says."""

    agent: AgentName
    runtime: RuntimeName | None
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic should be: partitions are a minimum, settings are Kafka's own."""

    name: str
    partitions: int
    settings: dict[str, str]


_SHORT = {
    "segment.ms": "600000",
    "max.compaction.lag.ms": "600000",
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": "3600000",
}
"""Compacted every ten minutes: whoever begins to read it reads little more than it needs."""


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days each kind of topic keeps what it was told."""

    commands: float = 30
    results: float = 90
    traces: float = 7
    retries: float = 30
    dead_letters: float = 30
    workers: float = 1
    """Counts for workers that died without a word; the others' last heartbeats stay."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one installation: all their names begin with its prefix."""

    prefix: str = "crewline"
    command_partitions: int = 3
    """Of each command topic, and of the rare retries and dead letters. They spread work over
    workers; one worker runs many tasks of one."""
    event_partitions: int = 6
    """Of results and of traces. They spread the views' work over projectors."""
    retention: Retention = field(default_factory=Retention)

    def __post_init__(self) -> None:
        if not _LEGAL_PREFIX.fullmatch(self.prefix):
            raise ValueError(f"{self.prefix!r} cannot begin a Kafka topic's name")
        if {"commands", "urgent"} & set(self.prefix.split(".")):
            raise ValueError(f"{self.prefix!r} would make topics that look like others' commands")

    def commands(self, agent: str, runtime: str | None = None) -> str:
        """Where an agent's tasks go; those that name a runtime have a topic of their own."""
        name = f"{self.prefix}.commands.{agent}"
        return f"{name}.{runtime}" if runtime else name

    def urgent(self, agent: str, runtime: str | None = None) -> str:
        """The same for what cannot wait behind all that."""
        name = f"{self.prefix}.urgent.{agent}"
        return f"{name}.{runtime}" if runtime else name

    @property
    def control(self) -> str:
        return f"{self.prefix}.control"

    @property
    def results(self) -> str:
        return f"{self.prefix}.results"

    @property
    def traces(self) -> str:
        return f"{self.prefix}.traces"

    @property
    def workers(self) -> str:
        return f"{self.prefix}.workers"

    @property
    def retries(self) -> str:
        return f"{self.prefix}.retries"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}.dead-letters"

    @property
    def command_pattern(self) -> str:
        """A regular expression of every command topic, those of agents to come included."""
        return rf"^{re.escape(self.prefix)}\.(?:commands|urgent)\.({_SLUG})(?:\.({_SLUG}))?$"

    @property
    def feed_pattern(self) -> str:
        """A regular expression of every topic the views are made from."""
        names = (self.results, self.traces, self.control, self.dead_letters)
        events = "|".join(map(re.escape, names))
        return rf"(?:{self.command_pattern})|^(?:{events})$"

    def read_command_topic(self, topic: str) -> CommandTopic | None:
        """The agent and runtime in a command topic's name; None for every other topic."""
        match = re.match(self.command_pattern, topic)
        if match is None:
            return None
        runtime = match[2]
        return CommandTopic(
            AgentName(match[1]), RuntimeName(runtime) if runtime else None, self.is_urgent(topic)
        )

    def is_below_commands(self, topic: str) -> bool:
        """Whether a task may have been sent there, be it by mistake: whatever comes then."""
        return topic.startswith((self.commands(""), self.urgent("")))

    def is_urgent(self, topic: str) -> bool:
        """Whether what stands there goes before other tasks."""
        return topic.startswith(f"{self.prefix}.urgent.")

    def of(self, message: Message) -> str:
        """Where a message is written."""
        if type(message) in _RESULTS:  # the most frequent ones first
            return self.results
        if type(message) in _TRACES:
            return self.traces
        if isinstance(message, SubmitTask):
            place = self.urgent if message.overtakes else self.commands
            return place(message.agent, message.runtime)
        if isinstance(message, CancelTask):
            return self.control
        if isinstance(message, LetterFact):
            return self.dead_letters
        if isinstance(message, WorkerHeartbeat):
            return self.workers
        raise TypeError(f"{type(message).__name__} travels on no topic")

    def all(self, agents: Iterable[tuple[str, Iterable[str]]]) -> list[TopicSpec]:
        """Every topic there should be for these agents, each with the names of its runtimes."""
        commands = [
            TopicSpec(place(agent, runtime), partitions, _deleted(self.retention.commands))
            for agent, runtimes in agents
            for runtime in (None, *runtimes)
            for place, partitions in (
                (self.commands, self.command_partitions),
                (self.urgent, _URGENT_PARTITIONS),
            )
        ]
        few, many, keep = self.command_partitions, self.event_partitions, self.retention
        return [
            *commands,
            TopicSpec(self.control, 1, _compacted(delete_after=keep.commands)),
            TopicSpec(self.results, many, _deleted(keep.results)),
            TopicSpec(self.traces, many, _deleted(keep.traces)),
            TopicSpec(self.workers, 1, _SHORT | _compacted(delete_after=keep.workers)),
            TopicSpec(self.retries, few, _deleted(keep.retries)),
            TopicSpec(self.dead_letters, few, _deleted(keep.dead_letters)),
        ]


def _deleted(days: float) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(int(days * _DAY_MS))}


def _compacted(delete_after: float) -> dict[str, str]:
    return _deleted(delete_after) | {"cleanup.policy": "compact,delete"}
