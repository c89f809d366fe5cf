"""Which agents a worker runs, how many tasks at once, and for how long it has them."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from app.domain.model.fleet import LONGEST_LEASE
from app.entrypoints.settings.group import Group, Name, Names, Port, SecondsOrNone

ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+:.{1,200}$")]


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
    slots: int = Field(16, ge=1, le=2_000, description="How many tasks run at once.")
    urgent_slots: int = Field(
        0,
        ge=0,
        description="How many of the slots are kept for tasks of high and critical priority; "
        "without one they begin at the next free slot.",
    )
    buffer: int = Field(
        64, ge=0, le=100_000, description="How many tasks are fetched ahead of those that run."
    )
    drain_seconds: SecondsOrNone = Field(
        25,
        description="How long running tasks may still take after a request to stop; those not "
        "done by then run again elsewhere.",
    )
    heartbeat_seconds: float = Field(
        3, ge=0.2, le=60, description="How often a worker tells the others what it has in hand."
    )
    lease_seconds: float = Field(
        9,
        ge=1,
        le=LONGEST_LEASE,
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
        description="How many runs of a task may end with the process of their worker, or break "
        "what it does with them, before the task is given up.",
    )
    hold_seconds: float = Field(
        30,
        ge=0,
        le=3_600,
        description="How long a worker keeps a task that waits for its next run; what waits "
        "longer goes to the topic of delays.",
    )
    spool_folder: str | None = Field(
        None,
        description="Folder where a worker keeps results that are larger than Kafka takes, each as "
        "a JSON file; by default `spool` in the runtime folder.",
    )
    spool_max_bytes: int = Field(
        268_435_456,
        ge=0,
        le=1_000_000_000_000,
        description="How large all files of that folder may be together: the oldest make room for "
        "new ones. 0 keeps nothing.",
    )
    refuse_after_seconds: float = Field(
        300,
        ge=0,
        le=86_400,
        description="How long a task is kept that this worker cannot take, where a gateway "
        "accepted it or another worker knows the agent otherwise, as in a rolling release; then it "
        "is a dead letter. A task of an agent nobody knows is kept for 5 seconds at most.",
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
