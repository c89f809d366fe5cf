"""Every way we say no, in three kinds: never try again, look again first, try again later."""

from typing import ClassVar


class PlatformError(Exception):
    """Something we refuse or cannot do, with a `code` that never changes once published."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Rejected(PlatformError):
    """Asking again in the same words cannot help."""

    code = "rejected"


class Conflict(PlatformError):
    """The thing has moved on: read it again, then decide."""

    code = "conflict"


class Unavailable(PlatformError):
    """Something we depend on is away: the same call may succeed later."""

    code = "unavailable"
    retryable = True

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which a new try is sensible."""


class UnknownAgent(Rejected):
    """No agent of that name is in the catalog."""

    code = "unknown-agent"


class UnknownRuntime(Rejected):
    """The agent has no such runtime, or this worker was not given it."""

    code = "unknown-runtime"


class UnknownTask(Rejected):
    """No task of that id has been seen."""

    code = "unknown-task"


class UnknownDeadLetter(Rejected):
    """No dead letter of that id has been seen."""

    code = "unknown-dead-letter"


class InvalidInput(Rejected):
    """The request or message does not fit its schema; `violations` says where."""

    code = "invalid"

    def __init__(self, message: str, violations: "tuple[Violation, ...]" = ()) -> None:
        super().__init__(message)
        self.violations = violations


class NotAllowed(Rejected):
    """The task asks for what whoever asks may not choose; `field` is where it does."""

    code = "not-allowed"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


class InvalidAgent(Rejected):
    """An agent's description cannot be used as it stands."""

    code = "invalid-agent"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        """What is wrong, a line each."""


class PayloadTooLarge(Rejected):
    """The message is larger than the broker takes."""

    code = "payload-too-large"


class TaskExists(Conflict):
    """Another task already has this id, or this idempotency key, with a different request."""

    code = "task-exists"


class RunFailed(PlatformError):
    """A run ended without a result; it carries the code and the verdict of this one failure."""

    def __init__(
        self, code: str, message: str, *, retryable: bool, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.failure_code = code
        self.failure_retryable = retryable
        self.retry_after = retry_after
        """Seconds a provider asked us to wait, where it did."""


class Violation:
    """One place where a value does not fit: a JSON Pointer and what is wrong there."""

    __slots__ = ("detail", "pointer")

    def __init__(self, pointer: str, detail: str) -> None:
        self.pointer = pointer
        self.detail = detail
