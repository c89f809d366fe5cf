"""Task states and the one table of legal moves (the names are the A2A protocol's)."""

from enum import StrEnum


class TaskState(StrEnum):
    SUBMITTED = "submitted"
    WORKING = "working"
    INPUT_REQUIRED = "input-required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    REJECTED = "rejected"

    @property
    def terminal(self) -> bool:
        """Whether the task has ended for good."""
        return not LEGAL_MOVES[self]


_ENDINGS = frozenset(
    {TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED}
)

LEGAL_MOVES: dict[TaskState, frozenset[TaskState]] = {
    TaskState.SUBMITTED: frozenset({TaskState.WORKING}) | _ENDINGS,
    # working → working is a new attempt, or news of the same one
    TaskState.WORKING: frozenset({TaskState.WORKING, TaskState.INPUT_REQUIRED}) | _ENDINGS,
    TaskState.INPUT_REQUIRED: frozenset({TaskState.INPUT_REQUIRED, TaskState.WORKING}) | _ENDINGS,
    TaskState.COMPLETED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELED: frozenset(),
    TaskState.REJECTED: frozenset(),
}


class Reason(StrEnum):
    """The finer fact beside a state."""

    ACCEPTED = "accepted"
    """In the log for good; the views have not read of it yet."""
    QUEUED = "queued"
    RETRYING = "retrying"
    CANCELING = "canceling"
    EXPIRED = "expired"
    DEADLINE_EXCEEDED = "deadline-exceeded"
    BUDGET_EXCEEDED = "budget-exceeded"
    DEAD_LETTERED = "dead-lettered"
    LOST_BY_RETENTION = "lost-by-retention"
    """Its message was deleted, as its topic keeps none for longer, before a worker was done."""


def may_move(current: TaskState, following: TaskState) -> bool:
    """Whether the table allows this move."""
    return following in LEGAL_MOVES[current]
