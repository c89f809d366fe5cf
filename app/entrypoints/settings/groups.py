"""The groups of settings beside Kafka: one for each process, and what they share."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from app.entrypoints.settings.group import (
    Group,
    Name,
    Names,
    PerProvider,
    Port,
    Seconds,
    Texts,
)

ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+:.{1,200}$")]


_DATABASES = ("sqlite", "postgresql")


def _known_database(url: SecretStr) -> SecretStr:
    """A driver may be named, as other tools want it (`postgresql+asyncpg://`); ours is used."""
    scheme = url.get_secret_value().partition("://")[0]
    if scheme.partition("+")[0] not in _DATABASES:
        raise ValueError("must begin with sqlite:/// or postgresql://")
    return url


class StoreSettings(Group):
    """Where the views are kept."""

    url: Annotated[SecretStr, AfterValidator(_known_database)] = Field(
        SecretStr("sqlite:///.crewline/views.db"),
        description="`sqlite:///path` or `postgresql://user:password@host/database`.",
    )


class GatewaySettings(Group):
    """The HTTP gateway."""

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for every one.")
    port: Port = Field(8000, description="Port to listen on; 0 chooses a free one.")
    docs: bool = Field(default=True, description="Whether `/docs` and `/redoc` are served.")
    max_body_bytes: int = Field(
        1_000_000, ge=1_024, description="The largest request body that is read."
    )
    max_wait_seconds: Seconds = Field(
        60, description="The longest `Prefer: wait=N` that is honoured."
    )
    heartbeat_seconds: Seconds = Field(
        15, description="How often a silent event stream says that it is alive."
    )
    max_backlog: int = Field(
        100_000,
        ge=0,
        description="How many tasks of one agent may wait or run before more are refused with "
        "429, critical ones excepted; an agent's file may name its own `max_backlog`. 0 lets them "
        "queue without end.",
    )
    max_redrives: int = Field(
        3, ge=1, le=1_000, description="How often the message of a dead letter may be sent again."
    )
    cors_origins: Texts = Field(
        default=[], description="Origins whose pages may call the gateway, separated by commas."
    )
    linger_seconds: float = Field(
        3,
        ge=0,
        description="How long new requests are still taken after a request to stop, while "
        "readiness says no, so that load balancers notice first.",
    )
    drain_seconds: float = Field(
        10, ge=0, description="How long open requests may still take after a request to stop."
    )


class WorkerSettings(Group):
    """The workers, which run tasks."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=249)] | None = Field(
        None,
        description="The worker's identity, which no two may share; by default the host's name "
        "and an ordinal that is claimed for the life of the process.",
    )
    runtime_folder: str | None = Field(
        None,
        description="Folder where ordinals are claimed, the same for all workers of a machine; "
        "by default `crewline` in the folder for temporary files.",
    )
    agents: Names = Field(
        default=[],
        description="Agents this worker runs, separated by commas; none means all. `-` and `_` "
        "are the same here.",
    )
    runtimes: Names = Field(
        default=["rules", "python"],
        min_length=1,
        description="Ways of running agents that this worker has, the preferred one first: "
        "`rules`, `python`, `crewai`.",
    )
    model: ModelName | None = Field(
        None,
        description="`provider:name` of the chat model for agents and tasks that name none, as "
        "in `openai:gpt-4.1-mini`.",
    )
    slots: int = Field(16, ge=1, le=10_000, description="How many tasks run at once.")
    urgent_slots: int = Field(
        0,
        ge=0,
        description="How many of the slots are kept for tasks of high and critical priority; "
        "without one they begin at the next free slot.",
    )
    buffer: int = Field(
        64, ge=0, le=100_000, description="How many tasks are fetched ahead of those that run."
    )
    drain_seconds: float = Field(
        25,
        ge=0,
        description="How long running tasks may still take after a request to stop; those not "
        "done by then run again elsewhere.",
    )
    heartbeat_seconds: float = Field(
        3, ge=0.2, le=60, description="How often a worker tells the others what it has in hand."
    )
    lease_seconds: float = Field(
        9,
        ge=1,
        description="How long after its last heartbeat nobody else runs what a worker has in hand; "
        "at least three times the interval of its heartbeats, and best a little less than "
        "`CREWLINE_KAFKA__SESSION_TIMEOUT_SECONDS`.",
    )
    lease_strict: bool = Field(
        default=False,
        description="Whether a worker stops all that it runs when its heartbeats do not arrive for "
        "that long, as one cut off from Kafka cannot tell that from an outage; by default it goes "
        "on, and only what it has lost is stopped.",
    )
    poison_after: int = Field(
        3,
        ge=1,
        le=100,
        description="How many runs of a task may end with the process of their worker before it "
        "is given up.",
    )
    hold_seconds: float = Field(
        30,
        ge=0,
        le=3_600,
        description="How long a worker keeps a task that waits for its next run; what waits "
        "longer goes to the topic of delays.",
    )
    group: Name = Field(
        "crewline.workers",
        description="Consumer group that shares the tasks; it "
        "begins with the prefix of the topics unless it is set.",
    )
    admin_host: str = Field(
        "127.0.0.1", description="Address of the admin port; `0.0.0.0` for every one."
    )
    admin_port: Port | None = Field(
        None, description="Port for `/livez`, `/readyz` and `/metrics`; unset serves none."
    )

    @model_validator(mode="after")
    def _bridges_lost_heartbeats(self) -> Self:
        if self.lease_seconds < 3 * self.heartbeat_seconds:
            raise ValueError(
                f"CREWLINE_WORKER__LEASE_SECONDS is {self.lease_seconds:g}, less than three "
                f"intervals of {self.heartbeat_seconds:g} s between heartbeats"
            )
        return self

    @model_validator(mode="after")
    def _leaves_slots_for_others(self) -> Self:
        if self.urgent_slots >= self.slots:
            raise ValueError(
                f"CREWLINE_WORKER__URGENT_SLOTS is {self.urgent_slots}, which leaves no slot of "
                f"{self.slots} for other tasks"
            )
        return self


class ProjectorSettings(Group):
    """The projector, which keeps the views."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=249)] | None = Field(
        None,
        description="The projector's identity, which no two may share; by default the host's name "
        "and an ordinal that is claimed for the life of the process.",
    )
    runtime_folder: str | None = Field(
        None,
        description="Folder where ordinals are claimed, the same for all projectors of a machine; "
        "by default `crewline` in the folder for temporary files.",
    )

    group: Name = Field(
        "crewline.projector",
        description="Consumer group that shares the log; it "
        "begins with the prefix of the topics unless it is set.",
    )
    admin_host: str = Field(
        "127.0.0.1", description="Address of the admin port; `0.0.0.0` for every one."
    )
    admin_port: Port | None = Field(
        None, description="Port for `/livez`, `/readyz` and `/metrics`; unset serves none."
    )


class CatalogSettings(Group):
    """Where agents come from."""

    folders: Texts = Field(
        default=[],
        description="Folders of agents' YAML files, separated by commas, added to the agents "
        "that come with Crewline; a later one replaces an earlier one of its name.",
    )


def _known_redis(url: SecretStr) -> SecretStr:
    if url.get_secret_value().partition("://")[0] not in {"redis", "rediss", "unix"}:
        raise ValueError("must begin with redis:// or rediss://")
    return url


class LimitsSettings(Group):
    """How much may be spent on models, and how fast they may be asked.

    Where there is a value for each provider, a number alone is for all that are not named.
    """

    redis_url: Annotated[SecretStr, AfterValidator(_known_redis)] | None = Field(
        None,
        description="`redis://user:password@host:6379/0`, where all workers share budgets and "
        "rates; without it each worker counts alone.",
    )
    concurrent_calls: PerProvider = Field(
        default={}, description="Model calls of one worker at once, for each provider."
    )
    requests_per_minute: PerProvider = Field(
        default={}, description="Model calls of all workers a minute, for each provider."
    )
    tokens_per_minute: PerProvider = Field(
        default={},
        description="Tokens of all workers a minute, requests and answers, for each provider.",
    )
    longest_wait_seconds: Seconds = Field(
        60,
        description="How long a model call waits for its turn; one that would wait longer fails, "
        "and its task is tried again when the turn would have come.",
    )
    answer_tokens: int = Field(
        1_000, ge=1, description="How long an answer is taken to be before it is there."
    )
    breaker_failures: int = Field(
        5,
        ge=1,
        description="Failures in a row (5xx, no connection, no answer in time) after which a "
        "worker leaves a provider alone.",
    )
    breaker_seconds: Seconds = Field(
        30, description="For how long it does, until one call tries again."
    )
    prices: Texts = Field(
        default=[],
        description="Files of model prices, separated by commas, that count before those that "
        "come with Crewline.",
    )


class TelemetrySettings(Group):
    """Traces and metrics. Where they go is said by the standard `OTEL_` variables."""

    service_name: str = Field(
        "crewline", min_length=1, description="`service.name` of this installation."
    )


class LoggingSettings(Group):
    """What is logged, and how it looks."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The least serious level that is written."
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto` writes text for a terminal and JSON lines otherwise."
    )
