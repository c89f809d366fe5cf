"""What the gateway is given: the use cases it speaks to, and its limits."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.abc import Traversable
from importlib.resources import files
from typing import TypeVar

from prometheus_client import CollectorRegistry

from app.domain.model.agents import AgentCatalog
from app.domain.model.task import TaskSummary
from app.domain.use_cases.cancel_task import CancelTaskHandler
from app.domain.use_cases.discard_dead_letter import DiscardDeadLetter
from app.domain.use_cases.fleet import Fleet
from app.domain.use_cases.read_letters import ReadLetters
from app.domain.use_cases.read_status import ReadStatus
from app.domain.use_cases.redrive_dead_letter import RedriveDeadLetter
from app.domain.use_cases.redrive_many import RedriveMany
from app.domain.use_cases.retry_task import RetryTask
from app.domain.use_cases.submit_task import SubmitTaskHandler
from app.entrypoints.gateway.fleet_resources import attended
from app.ports.clock import Clock
from app.ports.event_log import EventLog
from app.ports.redelivery import Redelivery
from app.ports.status_store import StatusStore

T = TypeVar("T", bound=TaskSummary)
Check = Callable[[], Awaitable[None]]
"""Returns if something we depend on answers, else raises `Unavailable`."""


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """How much one request may ask for; times are seconds."""

    max_body_bytes: int = 1_000_000
    max_wait_seconds: float = 60
    max_streams: int = 1_000
    """How many event streams may be open at one time."""
    max_waiting: int = 1_000
    """How many requests may wait for a result at one time."""
    heartbeat_seconds: float = 15
    """How long an event stream may be silent before it says that it is alive."""
    readiness_seconds: float = 2
    """How long one readiness check may take."""


def _untraced() -> str | None:
    return None


def _contract() -> Traversable:
    return files("app.entrypoints") / "contract"


def _nobody() -> Fleet:
    return Fleet(time.monotonic, lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class LetterServices:
    """What can be done about dead letters."""

    read: ReadLetters
    redrive: RedriveDeadLetter
    redrive_many: RedriveMany
    discard: DiscardDeadLetter
    retry: RetryTask
    """Of a task, whether or not it has a letter."""

    @classmethod
    def of(
        cls,
        read: ReadLetters,
        log: EventLog,
        redelivery: Redelivery,
        catalog: AgentCatalog,
        clock: Clock,
        *,
        limit: int = 3,
    ) -> "LetterServices":
        """All of them; a message may come back `limit` times."""
        redrive = RedriveDeadLetter(read, read.status, log, redelivery, catalog, clock, limit)
        discard = DiscardDeadLetter(read, log, clock)
        return cls(read, redrive, RedriveMany(redrive), discard, RetryTask(redrive))


@dataclass(frozen=True, slots=True)
class GatewayServices:
    """Everything one gateway needs; nothing in it knows HTTP."""

    submit: SubmitTaskHandler
    cancel: CancelTaskHandler
    letters: LetterServices
    status: ReadStatus
    store: StatusStore
    catalog: AgentCatalog
    version: str
    readiness: Mapping[str, Check] = field(default_factory=dict)
    """What must answer before traffic makes sense, by name: `broker`, `store`."""
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    contract: Traversable = field(default_factory=_contract)
    """Holds `asyncapi.json` and `schemas/`, the published documents of the topics."""
    docs: bool = True
    """Whether `/docs` and `/redoc` are served."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the gateway; none by default."""
    allowed_hosts: tuple[str, ...] = ()
    """Names the gateway is asked by, beside those of the loopback; empty is any."""
    current_trace_id: Callable[[], str | None] = _untraced
    """The trace of the request being served, where requests are traced."""
    fleet: Fleet = field(default_factory=_nobody)
    """What is heard of the workers, by whoever follows them beside the gateway."""
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    """What `/metrics` shows; the gateway adds its own to it."""

    def attended(self, task: T) -> T:
        """The task as people are shown it: with a word where no live worker can run it."""
        return attended(task, self.catalog, self.fleet)
